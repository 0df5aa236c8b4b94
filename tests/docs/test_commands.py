import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT, Mosquitto, free_port, skip_or_fail
from tests.docs.pages import code_blocks, name
from tests.support.processes import Client, connect_client

TUTORIAL = ROOT / "docs" / "tutorial.md"
OWN_PLANT = ROOT / "docs" / "how-to" / "own-plant.md"
GUIDES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
    if page != OWN_PLANT and code_blocks(page, "sh")
]
NEEDED = (
    "curl",
    "mosquitto_pub",
    "mosquitto_sub",
    "mosquitto_passwd",
    "promtool",
    "sensor-monitor",
    "sensor-training",
)
"""Programs that a page may use and that not every machine has."""
LONGEST_S = 400
RUN = re.compile(r"^(?:\w+=\S+ )*sensor-monitor run\b.*$", flags=re.MULTILINE)
PORTS = ("9108", "9111", "9112")
"""Of the monitors in the pages; the first is the default."""
PREAMBLE = """
set -euo pipefail
is_ready() {  # or has ended
  until curl --silent --fail --output /dev/null "http://127.0.0.1:$1/readyz"; do
    kill -0 $!
    sleep 0.05
  done
}
"""
ENDING = """
for monitor in $(jobs -p); do kill "$monitor"; wait "$monitor"; done
"""

RunPage = Callable[[Path], Client]
"""Runs the `sh` blocks of a page; returns a client that heard what the monitors published."""


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages take for the reader's own: `plant.csv`, `rest.csv` and `faulty.csv`."""
    folder = tmp_path_factory.mktemp("recordings")
    for words in (
        ["simulate", "--out", "plant.csv", "--groups", "2", "--hours", "1"],
        ["inject", "plant.csv", "--out", "faulty.csv"],
    ):
        subprocess.run([sys.executable, "-m", "training", *words], cwd=folder, check=True, env=_environment())
    shutil.copy(folder / "plant.csv", folder / "rest.csv")
    return folder


@pytest.fixture
def run_page(tmp_path: Path, mosquitto: Mosquitto, recordings: Path) -> RunPage:
    """Runs pages in a folder with the repository's settings and the recordings, on a broker of their own."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(recordings, tmp_path, dirs_exist_ok=True)
    clients = tmp_path / "clients"
    clients.mkdir()
    for program in ("mosquitto_pub", "mosquitto_sub"):
        (clients / program).write_text(f"-p {mosquitto.port}\n")

    def run(page: Path) -> Client:
        ports = {port: str(free_port()) for port in PORTS}
        script = _script(page, ports, mosquitto.port)
        environment = _environment()
        for program in NEEDED:
            if program in script and shutil.which(program, path=environment["PATH"]) is None:
                skip_or_fail("commands", f"{program} is not installed")
        environment |= {
            "MONITOR_MQTT__PORT": str(mosquitto.port),
            "MONITOR_HTTP__PORT": ports[PORTS[0]],
            "TRAINING_EPOCHS": "1",
            "TRAINING_BATCH_SIZE": "256",
            "TRAINING_UNITS": "16,8,8",
            "XDG_CONFIG_HOME": str(clients),
        }
        with connect_client(mosquitto.port, "#") as listener:
            done = subprocess.run(
                ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
                check=False, timeout=LONGEST_S,
            )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return listener

    return run


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def _script(page: Path, ports: dict[str, str], broker_port: int) -> str:
    """Return a page's `sh` blocks as one program, in which monitors run in the background until its end."""
    text = "\n".join(code_blocks(page, "sh"))
    text = re.sub(r"^(make |\. \.venv/bin/activate).*$", "", text, flags=re.MULTILINE)

    def in_background(line: re.Match[str]) -> str:
        port = re.search(r"MONITOR_HTTP__PORT=(\d+)", line[0])
        return f"{line[0]} &\nis_ready {port[1] if port else PORTS[0]}"

    text = RUN.sub(in_background, text).replace("port = 1883", f"port = {broker_port}")
    for port, free in ports.items():
        text = re.sub(rf"\b{port}\b", free, text)
    return f"{PREAMBLE}{text}{ENDING}"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page, marks=[pytest.mark.tensorflow] if "sensor-training fit" in page.read_text() else []
        )
        for page in GUIDES
    ],
    ids=name,
)
def test_commands_run(run_page: RunPage, page: Path) -> None:
    """Every command of the page does what it says, in the page's order."""
    run_page(page)


@pytest.mark.tensorflow
def test_own_plant(run_page: RunPage, tmp_path: Path) -> None:
    """A newcomer's plant: from recordings to a bundle of its own, and a monitor that judges both stations."""
    listener = run_page(OWN_PLANT)
    states = {topic for topic, _, _ in listener.messages if topic.startswith("sensor-monitor/state/")}
    assert states == {"sensor-monitor/state/line1/station1", "sensor-monitor/state/line1/station2"}
    assert (tmp_path / "var" / "bundle" / "report" / "report.html").exists()
    assert (tmp_path / "var" / "scores.csv").read_text().count("\n") == 1 + 1440


def test_tutorial(run_page: RunPage) -> None:
    """The first hour brings an alert of one's own: it names the sensor, is acknowledged and resolved."""
    listener = run_page(TUTORIAL)
    events = listener.payloads("sensor-monitor/alerts/hall1/press")
    assert [event["status"] for event in events] == ["firing", "resolved"]
    assert events[0]["reason"].startswith("temperature_2 reads 27.2 degC, its neighbour temperature_1 21.1")
    assert listener.payloads("sensor-monitor/response/acknowledge")[0]["incidents"] == [events[0]["id"]]
    states = listener.payloads("sensor-monitor/state/hall1/press")
    assert {"normal", "faulty"} <= {state["state"] for state in states}
    assert any(state["acknowledged"] for state in states)


def test_make_demo(tmp_path: Path) -> None:
    """`make demo` trains a bundle where it can, or takes the default one; it finds faults, keeps score."""
    environment = ROOT / ".venv"
    if not (environment / "installed").exists():
        pytest.skip("there is no .venv here; `make test` makes it")
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        # Older than the environment, which would be installed anew from here otherwise.
        os.utime(shutil.copy(ROOT / file, tmp_path), (0, 0))
    (tmp_path / ".venv").symlink_to(environment)
    (tmp_path / "monitor").symlink_to(ROOT / "monitor")  # without TensorFlow it has the bundle
    done = subprocess.run(
        ["make", "demo", "SECONDS=10"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    trains = find_spec("tensorflow") is not None
    assert (tmp_path / "var" / "demo" / "bundle").exists() == trains
    assert done.stdout.count("TensorFlow isn't installed, so no bundle is trained") == (not trains)
    card = {label: int(number) for label, number in re.findall(r"│ ([a-z ]+?) +│ (\d+) ", done.stdout)}
    assert card["faults injected"] > 0
    assert card["found"] > 0
