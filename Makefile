# `make demo` shows the monitor at work, `make test` runs all tests; both install what they need.

PYTHON ?= python3
SECONDS ?=
VENV := .venv
BIN := $(VENV)/bin
DEMO := var/demo
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Whether TensorFlow is installed, as an exit code.
HAS_TENSORFLOW := $(BIN)/python -c 'import sys, importlib.util as u; sys.exit(u.find_spec("tensorflow") is None)'

.PHONY: demo bundle test chaos bench lint format docs quality unseen slow reported machines sizes kinds sensitivity constraints dist clean

# Trains a bundle if there is none, then shows the monitor at work. `make demo SECONDS=60` ends after 60 s.
# Without TensorFlow it runs on the bundle that comes with the monitor.
demo: $(VENV)/installed $(DEMO)/plant.csv
	@if $(HAS_TENSORFLOW); then \
	  bundle=$(DEMO)/bundle; \
	  $(MAKE) --no-print-directory $$bundle/SHA256SUMS || exit; \
	else \
	  bundle=monitor/bundle/default; \
	  echo "TensorFlow isn't installed, so no bundle is trained: the demo runs on the default one, $$bundle"; \
	fi; \
	set -x; \
	exec $(BIN)/sensor-monitor demo --bundle $$bundle --recording $(DEMO)/plant.csv $(if $(SECONDS),--seconds $(SECONDS))

# TESTS="tests/monitor -k windows" runs only some of them.
TESTS ?= tests
test: $(VENV)/installed
	$(BIN)/python -m pytest $(TESTS)

# Runs all fault scenarios, which takes an hour; prints a table, and fails if a count that must be 0 isn't.
# ROWS="kill broker" runs only rows whose names contain one of these words, SCALE=0.1 a tenth of each.
SEED ?= 1
SCALE ?= 1
ROWS ?=
chaos: $(VENV)/installed
	$(BIN)/python -m tests.chaos --seed $(SEED) --scale $(SCALE) $(ROWS)

# Compares the monitor's speed with a bare paho client and others, in three rounds, which takes about a quarter of
# an hour; prints two tables, and writes them and bench.json to var/bench. ROWS="paho 1000" and SCALE=0.1 as above.
ROUNDS ?= 3
bench: $(VENV)/installed $(DEMO)/bundle/SHA256SUMS
	$(BIN)/python -m tests.bench --bundle $(DEMO)/bundle --rounds $(ROUNDS) --scale $(SCALE) $(ROWS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Writes the generated parts of the pages in docs/reference.
docs: $(VENV)/installed
	$(BIN)/python docs/reference/generate.py

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("sensor-monitor needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian and Ubuntu, install python3-venv" >&2; exit 1; }
	@echo "Installing the environment: a few minutes the first time, most of it TensorFlow."
# Each downloaded file must have its hash in constraints.txt. Markers there leave TensorFlow out where it has no packages
# for this Python. Where it can't be installed for another reason (platform, disk), pip fails, and all but TensorFlow is
# installed.
	$(INSTALL) --require-hashes --requirement constraints.txt 2>$(VENV)/pip.log || { \
	  sed '/^# tensorflow$$/,$$d' constraints.txt > $(VENV)/without-tensorflow.txt && \
	  $(INSTALL) --require-hashes --requirement $(VENV)/without-tensorflow.txt && \
	  echo "TensorFlow can't be installed here, all else is: $(VENV)/pip.log has pip's reason; after \`make clean\` it is tried again."; }
	$(INSTALL) --no-index --no-deps --no-build-isolation --editable .
	touch $@

# One simulated plant: training uses its hours 0 to 6, the demo replays hours 6 to 10. With few epochs and large
# batches training takes half a minute; the defaults of `sensor-training fit` train longer.
$(DEMO)/training.csv: | $(VENV)/installed
	$(BIN)/sensor-training simulate --out $(DEMO)/healthy.csv --hours 6
	$(BIN)/sensor-training inject $(DEMO)/healthy.csv --out $@

$(DEMO)/bundle/SHA256SUMS: $(DEMO)/training.csv $(wildcard monitor/detect/baseline/*.py)
	$(BIN)/sensor-training fit --recording $< --bundle $(DEMO)/bundle --epochs 8 --batch-size 256 --learning-rate 0.002

$(DEMO)/plant.csv: | $(VENV)/installed
	$(BIN)/sensor-training simulate --out $(DEMO)/later.csv --from-hour 6 --hours 4
	$(BIN)/sensor-training inject $(DEMO)/later.csv --out $@ --rate 0.05 --seed 1

# Compares the network with other classifiers on real recordings, for five random draws of injected faults. Takes
# 50 minutes; RECORDINGS is the folder that contains lwsndr/.
RECORDINGS ?= $(SENSOR_MONITOR_RECORDINGS)
QUALITY := var/quality
quality: $(VENV)/installed
	$(BIN)/sensor-training import lwsndr $(RECORDINGS)/lwsndr/multihop_outdoor_moteid1_data.txt \
	  $(RECORDINGS)/lwsndr/multihop_outdoor_moteid2_data.txt --out $(QUALITY)/healthy.csv
	for seed in 0 1 2 3 4; do \
	  $(BIN)/sensor-training inject $(QUALITY)/healthy.csv --out $(QUALITY)/$$seed.csv --seed $$seed && \
	  $(BIN)/sensor-training fit --recording $(QUALITY)/$$seed.csv --bundle $(QUALITY)/bundle-$$seed \
	    --baseline none && \
	  $(BIN)/sensor-training evaluate --bundle $(QUALITY)/bundle-$$seed --recording $(QUALITY)/$$seed.csv \
	    --against --out $(QUALITY)/report-$$seed || exit 1; \
	done
	$(BIN)/python tests/quality/summary.py $(QUALITY)/report-*/evaluation.json

# Two real sites.
UNSEEN := var/unseen
MOTES := $(UNSEEN)/motes1-2.csv $(UNSEEN)/motes3-4.csv
$(UNSEEN)/motes1-2.csv: | $(VENV)/installed
	$(BIN)/sensor-training import lwsndr $(RECORDINGS)/lwsndr/multihop_outdoor_moteid1_data.txt \
	  $(RECORDINGS)/lwsndr/multihop_outdoor_moteid2_data.txt --out $@
$(UNSEEN)/motes3-4.csv: | $(VENV)/installed
	$(BIN)/sensor-training import lwsndr $(RECORDINGS)/lwsndr/singlehop_outdoor_moteid3_data.txt \
	  $(RECORDINGS)/lwsndr/singlehop_outdoor_moteid4_data.txt --out $@

# Measures models on sites that they were not trained on: two real sites and a simulated one are left out in turn,
# without and with a baseline; with faults of every kind, lasting faults and staged events. Takes about ten minutes.
unseen: $(MOTES)
	$(BIN)/sensor-training simulate --out $(UNSEEN)/simulated.csv --groups 2 --hours 8 --seed 3
	$(BIN)/python -m tests.quality.unseen_sites $^ $(UNSEEN)/simulated.csv

# Measures the bundle that comes with the monitor on plants that sample slowly: a house, and simulated plants. Three
# minutes; RECORDINGS is the folder that contains uci-appliances/.
slow: $(VENV)/installed
	$(BIN)/python -m tests.quality.slow_plants $(RECORDINGS)/uci-appliances

# Measures simulated plants whose sensors report as devices do: periodically or when they changed. Four minutes.
# SEEDS="1 2" some of the eight draws.
SEEDS ?=
reported: $(VENV)/installed
	$(BIN)/python -m tests.quality.reported_plants $(SEEDS)

# Measures how often the kind of an incident's fault is right, on simulated plants of every kind and on two real sites.
# Two minutes.
kinds: $(MOTES)
	$(BIN)/python -m tests.quality.fault_kinds $^

# Measures by pace from which offset on a sensor is called Faulty, on simulated plants of every kind and on real ones.
# Two minutes.
sensitivity: $(MOTES)
	$(BIN)/python -m tests.quality.shows_from $^ $(RECORDINGS)/uci-appliances/rooms.parquet

KINDS := mild outdoor indoor cold-room kiln greenhouse

# Measures the bundle that comes with the monitor on simulated machines with other quantities. Two minutes.
machines: $(VENV)/installed
	$(BIN)/python -m tests.quality.other_quantities

# Compares networks for that bundle by size, on real recordings and simulated plants. Ten minutes.
sizes: $(KINDS:%=var/default/%.csv) $(MOTES)
	mkdir -p var/sizes
	for kind in indoor cold-room kiln; do \
	  $(BIN)/sensor-training simulate --kind $$kind --groups 1 --hours 24 --seed 77 --out var/sizes/$$kind.csv || exit 1; \
	done
	$(BIN)/python -m tests.quality.network_sizes $(KINDS:%=var/default/%.csv) -- $(MOTES) \
	  $(RECORDINGS)/uci-appliances/rooms.parquet var/sizes/indoor.csv var/sizes/cold-room.csv var/sizes/kiln.csv

# Makes the bundle that comes with the monitor, in a minute or two: from a day of simulated plants of every kind, and
# from healthy recordings of real plants if given (REAL="a.csv b.csv"). Its report stays in var/default.
DEFAULT := var/default
REAL ?=
bundle: $(KINDS:%=$(DEFAULT)/%.csv)
	rm -rf monitor/bundle/default  # otherwise `fit` compares the new bundle with it, which fails if the rules changed
	$(BIN)/sensor-training fit --healthy $^ $(REAL) --bundle $(DEFAULT)/bundle --network sensor-lstm \
	  --epochs $(EPOCHS) --batch-size 256
	mkdir -p monitor/bundle/default
	cd $(DEFAULT)/bundle && cp manifest.json model.onnx scaler.json golden.json SHA256SUMS $(CURDIR)/monitor/bundle/default
# More epochs improve the fit on simulated plants but not on real ones: apart from the staged steam events, two real
# sites had one alert after 6 epochs and two after 10.
EPOCHS ?= 6

$(DEFAULT)/%.csv: | $(VENV)/installed
	$(BIN)/sensor-training simulate --kind $* --groups 2 --hours 24 --out $@

# Pins the version of every package, the newest that pyproject.toml allows, for each Python that README names, with the
# hashes of its wheels.
constraints: $(VENV)/installed
	$(BIN)/python -m tests.shipping.constraints

# Writes what a release consists of to dist: sdist, wheel, and the CycloneDX list of all that the monitor's image has.
dist: $(VENV)/installed
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/python -m tests.shipping.sbom dist

clean:
	rm -rf $(VENV) var dist .mypy_cache .pytest_cache .ruff_cache
