import csv
import json
from math import inf, nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor import bundle
from monitor.cli.backtest.report import Report
from monitor.cli.backtest.runner import backtest
from monitor.cli.main import main
from monitor.config.loading import load_settings
from monitor.core.rules import AlignmentRules
from monitor.core.values import ValueOutcome
from monitor.recordings.values import open_recording
from tests.monitor.ingest.alignment.reference import Reference, Value
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES
from tests.support.value_plant import (
    SOURCES_TOML,
    START_TS,
    plant_values,
    read_events,
    write_values,
)

FAST_SETTINGS = hypothesis_settings(derandomize=True, deadline=None, max_examples=60)
NO_SOURCES_TOML = SOURCES_TOML[SOURCES_TOML.index("[input.align]") :]
COMPLETE_TOML = """
[[input.sources]]
topic = "whole/{group}"
"""


def run_backtest(toy_bundle: Path, folder: Path, file: Path, toml: str = SOURCES_TOML) -> Report:
    """Judge a recording; the results are `scores.csv` and `events.jsonl` in the folder."""
    config = folder / "backtest.toml"
    config.write_text(toml)
    return backtest(
        bundle.load(toy_bundle),
        load_settings(config),
        open_recording(file),
        folder / "scores.csv",
        folder / "events.jsonl",
    )


def read_scores(folder: Path) -> list[list[str]]:
    """Return the rows of `scores.csv`, without the header."""
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


def test_values_become_readings(toy_bundle: Path, tmp_path: Path) -> None:
    """Values are aligned at the sampling times, and each reading has a row with the verdict of its window."""
    values = plant_values("a/b", [HEALTHY, HEALTHY, HEALTHY, FAULTY, HEALTHY])
    report = run_backtest(toy_bundle, tmp_path, write_values(tmp_path / "r.csv", values))
    assert [(row[0], row[1], row[2], row[4]) for row in read_scores(tmp_path)] == [
        (str(START_TS), "a/b", "filling", ""),
        (str(START_TS + 5), "a/b", "filling", ""),
        (str(START_TS + 10), "a/b", "judged", "Normal"),
        (str(START_TS + 15), "a/b", "judged", "Faulty"),
    ]
    (event,) = read_events(tmp_path / "events.jsonl")
    assert event["window"] == {
        "ts": [START_TS + 5, START_TS + 10, START_TS + 15],
        "values": [HEALTHY, HEALTHY, FAULTY],
    }
    assert report.value_outcomes == {"accepted": 20}
    assert "values              20   accepted 20\n" in str(report)
    assert "1 sampling time(s) undecided at the end, left out" in str(report)


@pytest.mark.parametrize("delay", [0.1, None], ids=["by the clock", "without arrival"])
def test_a_dead_sensor_gives_no_reading(toy_bundle: Path, tmp_path: Path, delay: float | None) -> None:
    """A feature that is absent or too old is counted as stale, and nothing is invented in its place."""
    readings = [HEALTHY, [20.0, None, 20.5, 50.0], [20.0, None, 20.5, 50.0], HEALTHY, HEALTHY]
    file = write_values(tmp_path / "r.csv", plant_values("a/b", readings), delay)
    report = run_backtest(toy_bundle, tmp_path, file)
    assert [row[0] for row in read_scores(tmp_path)] == [str(START_TS), str(START_TS + 15)]
    assert report.outcomes == {"filling": 2, "stale": 2, "malformed": 0}
    assert report.value_outcomes == {"accepted": 18, "absent": 2}


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.2, 0.7, 3.0, 20.0]),  # since the arrival before
        st.sampled_from(["a", "b"]),
        st.integers(0, 3),
        st.sampled_from([0.0, 0.0, 0.5, 2.0, 8.0, -1.0, -30.0, -100.0]),  # between event time and arrival
        st.booleans(),
    ),
    min_size=1,
    max_size=80,
)


@FAST_SETTINGS
@given(steps=STEPS, has_arrivals=st.booleans())
def test_readings_are_those_of_the_rules(
    toy_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[float, str, int, float, bool]],
    has_arrivals: bool,  # noqa: FBT001, from hypothesis
) -> None:
    """Readings and outcomes are those of the rules of alignment, value by value, whatever the delays."""
    folder = tmp_path_factory.mktemp("values")
    rules = AlignmentRules(period=5.0, wait=1.0, max_age=(30.0,) * 4)
    reference = Reference(4, rules, max_lead=14 * 5.0 - 1.0)
    now, rows = START_TS, []
    for number, (pause, group, feature, delay, is_absent) in enumerate(steps):
        now += pause
        value = nan if is_absent else float(number)
        arrival = now if has_arrivals else inf
        reference.push(
            Value(f"{group}/x", feature, now - delay, value, arrival, now if has_arrivals else 0.0)
        )
        rows.append((now - delay, f"{group}/x", NAMES[feature], None if is_absent else value, now))
    if has_arrivals:
        for group in reference.groups:
            reference.tick(group, now)
    file = folder / "r.csv"
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["ts", "group", "feature", "value", "arrived_at"][: 5 if has_arrivals else 4])
        writer.writerows(row[: 5 if has_arrivals else 4] for row in rows)
    report = run_backtest(
        toy_bundle, folder, file, f"{SOURCES_TOML}[windows]\nstale_after = 1e6\nmax_skew = 60.0\n"
    )
    found = sorted((row[1], float(row[0])) for row in read_scores(folder))
    assert found == sorted((group, ts) for group, ts, *_ in reference.readings)
    assert report.value_outcomes.total() == len(steps)
    for outcome in ValueOutcome:
        assert report.value_outcomes[outcome] == reference.outcomes.count(outcome), outcome
    assert report.outcomes["stale"] == len(reference.stale_samples)


def test_a_silent_group_starts_afresh(toy_bundle: Path, tmp_path: Path) -> None:
    """After a silence longer than `stale_after` nothing that was held before is in a reading."""
    toml = SOURCES_TOML.replace("max_age = 30.0", "max_age = 300.0")
    toml += "[windows]\nmax_gap = 50\nstale_after = 60\n"
    values = list(plant_values("a/b", [HEALTHY, HEALTHY]))
    later = START_TS + 105
    values.append((later - 1, "a/b", NAMES[0], 21.0))
    values += plant_values("a/b", [HEALTHY, HEALTHY], start=later + 5)
    run_backtest(toy_bundle, tmp_path, write_values(tmp_path / "r.csv", values), toml)
    assert [float(row[0]) for row in read_scores(tmp_path)] == [START_TS, START_TS + 5, later + 5]
    short = toml.replace("stale_after = 60", "stale_after = 600")
    run_backtest(toy_bundle, tmp_path, tmp_path / "r.csv", short)
    assert [float(row[0]) for row in read_scores(tmp_path)] == [START_TS, START_TS + 5, later, later + 5]


def test_blocks_and_batches_change_nothing(toy_bundle: Path, tmp_path: Path) -> None:
    """A recording longer than a block, of several groups, gives each group what it gets alone."""
    readings = [FAULTY if number == 400 else HEALTHY for number in range(900)]
    groups = {group: list(plant_values(group, readings)) for group in ("a/b", "c/d")}
    together = sorted(value for values in groups.values() for value in values)
    run_backtest(toy_bundle, tmp_path, write_values(tmp_path / "all.csv", together))
    scores = read_scores(tmp_path)
    assert len(scores) == 2 * 899
    for group, values in groups.items():
        run_backtest(toy_bundle, tmp_path, write_values(tmp_path / "one.csv", values))
        assert [row for row in scores if row[1] == group] == read_scores(tmp_path)


def test_records_with_all_features_stay_readings(toy_bundle: Path, tmp_path: Path) -> None:
    """Values that came by a record with all features are that reading, with its own time."""
    file = tmp_path / "r.csv"
    rows = [
        f"{START_TS + 7 * number},whole/a,a,{name},{value},{START_TS + 7 * number}"
        for number in range(4)
        for name, value in zip(NAMES, HEALTHY, strict=True)
    ]
    rows[5] = rows[5].replace(",50.0,", ",,")  # a feature of the second record is absent
    del rows[8]  # one of the third is missing
    file.write_text("\n".join(["ts,topic,group,feature,value,arrived_at", *rows]) + "\n")
    report = run_backtest(toy_bundle, tmp_path, file, COMPLETE_TOML)
    assert [row[0] for row in read_scores(tmp_path)] == [str(START_TS), str(START_TS + 21)]
    assert report.outcomes["stale"] == 2


def test_settings_without_sources(toy_bundle: Path, tmp_path: Path) -> None:
    """Values from elsewhere need no sources and no topics: `input.align` says how they are aligned."""
    file = tmp_path / "r.csv"
    values = plant_values("a/b", [HEALTHY, HEALTHY, HEALTHY])
    file.write_text(
        "group,feature,ts,value\n"
        + "".join(f"{group},{name},{ts},{value}\n" for ts, group, name, value in values)
    )
    report = run_backtest(toy_bundle, tmp_path, file, NO_SOURCES_TOML)
    assert [row[0] for row in read_scores(tmp_path)] == [str(START_TS), str(START_TS + 5)]
    assert report.undecided_count == 1


def test_what_cannot_be_used_is_counted(
    toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unreadable values and unknown features are counted and named; without a reading the exit code is 2."""
    file = write_values(
        tmp_path / "r.csv", [(START_TS, "a/b", NAMES[0], 20.0), (START_TS, "a/b", "lux", 1.0)]
    )
    with file.open("a") as opened:
        opened.write(f"x,plant/a/b/t,a/b,{NAMES[0]},1,5\n")
    report = run_backtest(toy_bundle, tmp_path, file)
    assert report.value_outcomes == {"accepted": 1, "unmatched": 1, "malformed": 1}
    assert report.ignored_columns == ["lux"]
    config = tmp_path / "backtest.toml"
    words = ["--recording", str(file), "--out", str(tmp_path / "s.csv"), "--config", str(config)]
    assert main(["backtest", "--bundle", str(toy_bundle), *words]) == 2
    errors = capsys.readouterr().err
    assert "its values make no reading with each feature" in errors
    assert "row 3: ts is 'x'" in errors


def test_readings_are_judged_as_before(toy_bundle: Path, tmp_path: Path) -> None:
    """The aligned readings of a recording of values, written as readings, give the same scores and events."""
    readings = [[20 + number / 7, 50.0, 20.5, 50.0] for number in range(9)] + [FAULTY] * 3
    run_backtest(toy_bundle, tmp_path, write_values(tmp_path / "values.csv", plant_values("a/b", readings)))
    scores, events = read_scores(tmp_path), (tmp_path / "events.jsonl").read_text()
    file = tmp_path / "readings.csv"
    lines = [
        ",".join(map(str, [START_TS + 5 * number, "a/b", *reading]))
        for number, reading in enumerate(readings[:-1])
    ]
    file.write_text("\n".join([",".join(["ts", "group", *NAMES]), *lines]) + "\n")
    run_backtest(toy_bundle, tmp_path, file)
    assert read_scores(tmp_path) == scores
    assert (tmp_path / "events.jsonl").read_text() == events
    assert json.loads(events.splitlines()[0])["status"] == "firing"
