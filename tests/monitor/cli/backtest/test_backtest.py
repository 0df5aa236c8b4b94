import csv
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor import bundle
from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.bundle.manifest import Feature
from monitor.cli.backtest.report import Report
from monitor.cli.backtest.runner import backtest
from monitor.cli.main import main
from monitor.config.loading import load_settings
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.errors import OperationError, RecordingError
from monitor.core.readings import Readings
from monitor.core.verdicts import AlertEvent
from monitor.detect.pace import Pace
from monitor.publish.payloads import alert_payload
from monitor.recordings.reader import Recording
from monitor.service.settings_to_stages import build_scoring
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

FAST_SETTINGS = hypothesis_settings(derandomize=True, deadline=None, max_examples=40)
START_TS = 1_700_000_000
OUT_OF_RANGE = [20.0, 50.0, 20.5, 300.0]
Rows = list[tuple[object, str, list[float] | list[object]]]


def _write_recording(path: Path, rows: Rows, label: int | None = None) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ts", "group", *NAMES, *(["label"] if label else [])])
        writer.writerows([ts, group, *values, *([label] if label else [])] for ts, group, values in rows)


def _run_backtest(toy_bundle: Path, folder: Path, rows: Rows, label: int | None = None) -> Report:
    """Judge rows; the results are written to `scores.csv` and `events.jsonl` in the folder."""
    _write_recording(folder / "r.csv", rows, label)
    return backtest(
        bundle.load(toy_bundle),
        load_settings(None),
        Recording(folder / "r.csv"),
        folder / "scores.csv",
        folder / "events.jsonl",
    )


def _read_scores(folder: Path) -> list[list[str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_one_row_per_reading(toy_bundle: Path, tmp_path: Path) -> None:
    """The output file has one row per reading, in the file's order, with a verdict only for judged ones."""
    rows: Rows = [
        (START_TS, "a", HEALTHY),
        (START_TS + 5, "b", HEALTHY),
        (START_TS + 5, "a", HEALTHY),
        (START_TS + 5, "a", HEALTHY),
        (START_TS + 1, "a", HEALTHY),
        (START_TS + 9, "a", ["", 50.0, 20.0, 50.0]),
        ("", "a", HEALTHY),
        (START_TS + 10, "a", FAULTY),
        (START_TS + 15, "a", OUT_OF_RANGE),
        (START_TS + 31, "a", HEALTHY),
        (10 * START_TS, "a", HEALTHY),
    ]
    report = _run_backtest(toy_bundle, tmp_path, rows)
    header, *lines = _read_scores(tmp_path)
    assert header == ["ts", "group", "outcome", "score", "prediction", "out_of_range", "detector", "kind"]
    assert [(ts, group) for ts, group, *_ in lines] == [(str(ts), group) for ts, group, _ in rows]
    assert [(line[2], *line[4:7]) for line in lines] == [
        ("filling", "", "", ""),
        ("filling", "", "", ""),
        ("filling", "", "", ""),
        ("duplicate", "", "", ""),
        ("late", "", "", ""),
        ("malformed", "", "", ""),
        ("malformed", "", "", ""),
        ("judged", "Faulty", "false", "model"),
        ("judged", "Faulty", "true", "limits"),
        ("gap", "", "", ""),
        ("gap", "", "", ""),
    ]
    assert [bool(line[3]) for line in lines] == [line[2] == "judged" for line in lines]
    assert float(lines[7][3]) > 0.99
    assert dict(report.outcomes) == {
        "filling": 3, "duplicate": 1, "late": 1, "malformed": 2, "judged": 2, "gap": 2,
    }  # fmt: skip
    assert dict(report.predictions) == {"Faulty": 2, "Normal": 0}
    assert "\nFaulty by            2   model 1, limits 1\n" in str(report)


def test_shows_from_leaves_out_what_never_shows() -> None:
    """A feature whose offsets never show, as one without neighbour, is left out; so is the line of none."""
    report = Report(pace=Pace(3), max_gap=15.0)
    report.add_shows_from([Feature("pressure_1", "bar")], np.array([[np.inf]]))
    assert "shows from" not in str(report)
    report.add_shows_from(
        [Feature("temperature_1", "degC"), Feature("pressure_1", "bar")],
        np.array([[0.5, np.inf], [0.7, np.inf], [np.nan, np.nan]]),
    )
    assert "\nshows from             temperature_1 0.6 degC" in str(report)
    assert "inf" not in str(report)


def test_kind_of_fault(tmp_path: Path) -> None:
    """Faulty rows of an open incident have the kind that could be told then, as the events do."""
    values = [[20 + 0.01 * (n % 7), 50.0, 20 + 0.01 * (n % 5), 50.0] for n in range(120)]
    for row in values[100:110]:
        row[0] = 0.0
    rows: Rows = [(START_TS + 5 * n, "a", row) for n, row in enumerate(values)]
    report = _run_backtest(DEFAULT_BUNDLE_FOLDER, tmp_path, rows)
    assert re.search(r"shows from +temperature_1 0\.\d+ degC, humidity_1 [23]\.\d %RH, temp", str(report))
    lines = _read_scores(tmp_path)[1:]
    faulty = [line[4] == "Faulty" for line in lines]
    assert sum(faulty) >= 10
    assert [line[7] for line in lines] == ["loss" if is_faulty else "" for is_faulty in faulty]
    events = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert [event["kind"] for event in events] == ["loss", "loss"]


def test_no_future(toy_bundle: Path, tmp_path: Path) -> None:
    """A backtest has no clock, so no event time counts as future."""
    report = _run_backtest(
        toy_bundle, tmp_path, [(f"{9000 + n}-01-01T00:00:00", "a", HEALTHY) for n in range(2)]
    )
    assert dict(report.outcomes) == {"filling": 1, "gap": 1, "malformed": 0}


def test_longer_than_a_batch(toy_bundle: Path, tmp_path: Path) -> None:
    """A recording that is read in several batches gives the same results as in one batch."""
    rows: Rows = [(START_TS + 5 * n, "a", FAULTY if n == 4096 else HEALTHY) for n in range(5000)]
    report = _run_backtest(toy_bundle, tmp_path, rows)
    assert dict(report.outcomes) == {"filling": 2, "judged": 4998, "malformed": 0}
    faulty = [number for number, line in enumerate(_read_scores(tmp_path)[1:]) if line[4] == "Faulty"]
    assert faulty == [4096, 4097, 4098]
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 2


def test_label_is_ignored(toy_bundle: Path, tmp_path: Path) -> None:
    """The label doesn't change the verdicts."""
    rows: Rows = [(START_TS + 5 * n, "a", HEALTHY) for n in range(5)]
    _run_backtest(toy_bundle, tmp_path, rows)
    without = _read_scores(tmp_path)
    for label in (1, -1):
        _run_backtest(toy_bundle, tmp_path, rows, label)
        assert _read_scores(tmp_path) == without


def test_report(toy_bundle: Path, tmp_path: Path) -> None:
    """The report counts readings, windows and alerts, and has the alerts per day."""
    day = 86400 // 5
    rows: Rows = [(START_TS + 5 * n, "a", FAULTY if n in {100, 9000} else HEALTHY) for n in range(day + 1)]
    lines = str(_run_backtest(toy_bundle, tmp_path, rows)).splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["readings", "17,281"],
        ["windows", "17,279"],
        ["alerts", "2"],
    ]
    assert "2.00 a day and group (1 group(s), 1.00 group-days)" in lines[2]


def test_events_equal_those_of_the_daemon(toy_bundle: Path, tmp_path: Path) -> None:
    """The events are byte for byte the payloads that the daemon would publish for these readings."""
    rows = [
        (START_TS + 5.0 * (n // 2), "ab"[n % 2], FAULTY if n in {8, 9, 10, 21} else HEALTHY)
        for n in range(40)
    ]
    _run_backtest(toy_bundle, tmp_path, list(rows))
    loaded = bundle.load(toy_bundle)
    verdicts = build_scoring(loaded, WindowSettings(), AlertSettings()).judge(_to_readings(rows))
    expected = [alert_payload(event, loaded.manifest).decode() for event in verdicts.events]
    assert (tmp_path / "events.jsonl").read_text().splitlines() == expected
    assert [json.loads(event)["status"] for event in expected].count("firing") == 3


def _backtest_command(toy_bundle: Path, folder: Path) -> int:
    arguments = ["--recording", str(folder / "r.csv"), "--out", str(folder / "scores.csv")]
    return main(["backtest", "--bundle", str(toy_bundle), *arguments])


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "has no readings"),
        ([(START_TS, "a", ["wet", 50.0, 20.0, 50.0])], "no row can be judged; row 1: temperature_1 is 'wet'"),
    ],
    ids=["empty", "unreadable"],
)
def test_no_usable_row(
    toy_bundle: Path, tmp_path: Path, rows: Rows, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording without one row that can be judged is exit code 2, with the first reason."""
    _write_recording(tmp_path / "r.csv", rows)
    assert _backtest_command(toy_bundle, tmp_path) == 2
    assert f"r.csv: {reason}" in capsys.readouterr().err


def test_columns_that_are_not_used(
    toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns that look like features and are none of the bundle's are named; label and kind are not."""
    header = f"ts,group,{','.join(NAMES)},pressure,co2,label,kind\n"
    (tmp_path / "r.csv").write_text(f"{header}{START_TS},a,20,50,20,50,1013,400,1,\n")
    assert _backtest_command(toy_bundle, tmp_path) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("not used"))
    assert line.split(maxsplit=2)[2] == "pressure, co2"


def test_broken_recording_leaves_nothing(toy_bundle: Path, tmp_path: Path) -> None:
    """If a recording can't be read to its end, earlier results are unchanged and no partial ones left."""
    rows: Rows = [(START_TS + 5 * n, "a", HEALTHY) for n in range(4)]
    _run_backtest(toy_bundle, tmp_path, rows)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "r.csv"}
    with pytest.raises(RecordingError, match="row 5 has 7 cells"):
        _run_backtest(toy_bundle, tmp_path, [*rows, (START_TS, "a", [*HEALTHY, 1.0])])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "r.csv"} == before


def test_output_that_cannot_be_written(toy_bundle: Path, tmp_path: Path) -> None:
    """An output that can't be written is an OperationError with its path."""
    (tmp_path / "file").write_text("")
    _write_recording(tmp_path / "r.csv", [(START_TS, "a", HEALTHY)])
    out = tmp_path / "file" / "scores.csv"
    with pytest.raises(OperationError, match=f"{out}: can't be written"):
        backtest(bundle.load(toy_bundle), load_settings(None), Recording(tmp_path / "r.csv"), out, None)


def _without_score(event: AlertEvent) -> AlertEvent:
    """Return an event without its score, whose last digit depends on the size of the batch."""
    return replace(event, score=0.0)


def _to_readings(rows: list[tuple[float, str, list[float]]]) -> Readings:
    values = np.array([values for *_, values in rows], dtype=np.float64).reshape(-1, len(NAMES))
    ts, count = np.array([ts for ts, *_ in rows], dtype=np.float64), len(rows)
    again = np.zeros(count, dtype=np.bool_)
    return Readings(
        [group for _, group, _ in rows], ts, values, np.full(count, np.inf), np.zeros(count), again
    )


ROW_STRATEGY = st.tuples(
    st.sampled_from([0.0, 5.0, 5.0, 5.0, 20.0]), st.sampled_from("ab"), st.sampled_from([HEALTHY, FAULTY])
)


@pytest.mark.parametrize("alerts", [AlertSettings(mode="every_window"), AlertSettings(renotify_after=5)])
def test_first_event_has_the_explanation(toy_bundle: Path, alerts: AlertSettings) -> None:
    """The first event of an incident has the explanation of its own window, and other events have none."""
    first_off, second_off = [30.0, 50.0, 20.0, 50.0], FAULTY
    values_by_group = [HEALTHY] * 5, [HEALTHY] * 2 + [second_off] * 3, [HEALTHY] * 3 + [first_off] * 2
    rows = [
        (5.0 * n, group, values[n])
        for n in range(5)
        for group, values in zip("abc", values_by_group, strict=True)
    ]
    events = build_scoring(bundle.load(toy_bundle), WindowSettings(), alerts).judge(_to_readings(rows)).events
    explanations = [(event.group, event.repeat, event.reason[:23], event.contributions) for event in events]
    assert explanations == [
        ("b", 0, "temperature_2 reads 30 ", [0, 0, 1, 0]),
        ("b", 1, "", None),
        ("c", 0, "temperature_1 reads 30 ", [1, 0, 0, 0]),
        ("b", 2, "", None),
        ("c", 1, "", None),
    ]
    assert [event.contributions_by_step is None for event in events] == [
        bool(event.repeat) for event in events
    ]


@FAST_SETTINGS
@given(jumps=st.lists(ROW_STRATEGY, max_size=40), cuts=st.sets(st.integers(0, 40)))
def test_moving_groups_makes_no_difference(
    toy_bundle: Path, jumps: list[tuple[float, str, list[float]]], cuts: set[int]
) -> None:
    """Groups whose windows and alerts move to another instance after each batch get the same verdicts."""
    times = np.cumsum([jump for jump, *_ in jumps]).tolist()
    rows = [(ts, group, values) for ts, (_, group, values) in zip(times, jumps, strict=True)]
    loaded = bundle.load(toy_bundle)
    whole, current, other = (
        build_scoring(loaded, WindowSettings(stride=2), AlertSettings(clear_after=2)) for _ in range(3)
    )
    expected = whole.judge(_to_readings(rows))
    outcomes, scores, events = [], [], []
    for begin, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]):
        verdicts = current.judge(_to_readings(rows[begin:end]))
        outcomes += verdicts.windows.outcomes
        scores += verdicts.judged_windows.scores.tolist()
        events += [_without_score(event) for event in verdicts.events]
        for group in current.groups():
            other.load(group, current.dump(group))
            current.forget(group)
        current, other = other, current
    assert outcomes == expected.windows.outcomes
    np.testing.assert_allclose(scores, expected.judged_windows.scores, atol=1e-6)
    assert events == [_without_score(event) for event in expected.events]
    assert [bool(event.reason) for event in expected.events] == [
        event.status == "firing" for event in expected.events
    ]


def test_too_slow_readings(toy_bundle: Path, tmp_path: Path) -> None:
    """The report says so where readings come too far apart for any window, of all groups or of some."""
    slow: Rows = [(START_TS + 300 * number, "slow", HEALTHY) for number in range(412)]
    text = (
        "0 of 412 judged: all gap; readings come every 300 s, max_gap is 15; expected windows.max_gap = 900"
    )
    assert f"pace                   {text}" in str(_run_backtest(toy_bundle, tmp_path, slow))
    quick: Rows = [(START_TS + 5 * number, "quick", HEALTHY) for number in range(3)]
    report = str(_run_backtest(toy_bundle, tmp_path, [*quick, *slow]))
    assert f"pace                   1 of 2 groups (slow): {text}" in report
    assert "pace  " not in str(_run_backtest(toy_bundle, tmp_path, quick))
