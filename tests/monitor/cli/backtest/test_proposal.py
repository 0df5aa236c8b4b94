import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from monitor import bundle
from monitor.cli.backtest.report import Report
from monitor.cli.backtest.runner import backtest
from monitor.cli.main import main
from monitor.config.loading import load_settings, override_alerts
from monitor.config.settings import AlertOverride, AlertSettings
from monitor.core.errors import ConfigurationError
from monitor.recordings.reader import Recording
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

START_TS = 1_700_000_000
READINGS_PER_HALF_DAY = 12 * 720


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Half a day of three groups: `a` has a short and a long fault, `b` two in quick succession, `c` none."""
    faulty = {"a": {10, *range(500, 560)}, "b": {*range(100, 110), *range(116, 130)}, "c": set[int]()}
    path = tmp_path / "plant.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["ts", "group", *NAMES])
        for n in range(READINGS_PER_HALF_DAY + 1):
            for group, when in faulty.items():
                table.writerow([START_TS + 5 * n, group, *(FAULTY if n in when else HEALTHY)])
    return path


def _run_backtest(
    toy_bundle: Path, recording: Path, proposed: AlertSettings, current: AlertSettings | None = None
) -> Report:
    settings = load_settings(None).model_copy(update={"alerts": current or AlertSettings()})
    out, events = recording.parent / "out.csv", recording.parent / "events.jsonl"
    return backtest(bundle.load(toy_bundle), settings, Recording(recording), out, events, proposed)


def _read_events(recording: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (recording.parent / "events.jsonl").read_text().splitlines()]


def _split_table(report: Report) -> list[list[str]]:
    return [line.split() for line in str(report).split("\n\n")[1].splitlines()]


def test_table(toy_bundle: Path, recording: Path) -> None:
    """The table has each group's alerts and alerts per day, today and proposed, and the changed incidents."""
    lines = _split_table(_run_backtest(toy_bundle, recording, AlertSettings(raise_after=4, clear_after=6)))
    assert lines == [
        ["raise_after:", "1", "today,", "4", "proposed"],
        ["clear_after:", "3", "today,", "6", "proposed"],
        ["group", "today", "a", "day", "proposed", "a", "day", "vanish", "merge", "split", "appear", "later"],
        ["a", "2", "4.00", "1", "2.00", "1", "0", "0", "0", "15", "s"],
        ["b", "2", "4.00", "1", "2.00", "0", "1", "0", "0", "15", "s"],
        ["all", "3", "4", "8.00", "2", "4.00", "1", "1", "0", "0", "15", "s"],
        ["2023-11-14T22:14:10.000Z", "a", "an", "incident", "of", "15", "s", "vanishes"],
        ["2023-11-14T22:21:40.000Z", "b", "2", "incidents", "become", "1"],
    ]


def test_more_alerts_than_today(toy_bundle: Path, recording: Path) -> None:
    """With settings that publish more, incidents appear, split, and are published earlier."""
    current = AlertSettings(raise_after=4, clear_after=6)
    lines = _split_table(_run_backtest(toy_bundle, recording, AlertSettings(), current))
    assert lines[3:] == [
        ["a", "1", "2.00", "2", "4.00", "0", "0", "0", "1", "-15", "s"],
        ["b", "1", "2.00", "2", "4.00", "0", "0", "1", "0", "-15", "s"],
        ["all", "3", "2", "4.00", "4", "8.00", "0", "0", "1", "1", "-15", "s"],
        ["2023-11-14T22:14:10.000Z", "a", "an", "incident", "of", "15", "s", "appears"],
        ["2023-11-14T22:21:40.000Z", "b", "1", "incident", "becomes", "2"],
    ]


@pytest.mark.parametrize(
    "proposed", [AlertSettings(raise_after=4, renotify_after=60), AlertSettings(mode="every_window")]
)
def test_proposal_is_what_would_be_sent(toy_bundle: Path, recording: Path, proposed: AlertSettings) -> None:
    """The table counts as many proposed alerts per group as a backtest with the proposed settings writes."""
    rows = {line[0]: line for line in _split_table(_run_backtest(toy_bundle, recording, proposed))}
    report = _run_backtest(toy_bundle, recording, AlertSettings(), proposed)
    firing = [event for event in _read_events(recording) if event["status"] == "firing"]
    sent = Counter(event["group"] for event in firing)
    assert {group: int(rows[group][3]) for group in "ab"} == sent
    repeated = sum(event["repeat"] > 0 for event in firing)
    line = str(report).splitlines()[2]
    assert line.split()[:2] == ["alerts", f"{len(firing):,}"]
    assert line.endswith(f", {repeated} of them repeated")


def test_worst_group_first(toy_bundle: Path, recording: Path) -> None:
    """The group with the most alerts, today or proposed, is the first row."""
    proposed = AlertSettings(rules=(AlertOverride(groups="b", renotify_after=10),))
    lines = _split_table(_run_backtest(toy_bundle, recording, proposed))
    assert [line[0] for line in lines[2:5]] == ["b", "a", "all"]


def test_todays_settings_decide_what_is_written(toy_bundle: Path, recording: Path) -> None:
    """Proposed settings change neither the written events nor the report's counts."""
    report = _run_backtest(toy_bundle, recording, AlertSettings(raise_after=100))
    assert len(_read_events(recording)) == 8
    assert report.events["firing"] == 4


def test_too_short_for_a_rate(toy_bundle: Path, recording: Path) -> None:
    """A group whose readings span no time has no rate."""
    report = _run_backtest(toy_bundle, recording, AlertSettings())
    assert report.proposal
    table = report.proposal.format_table({"a": (0.0, 0.0), "b": (0.0, 86400.0), "c": (0.0, 0.0)})
    assert [line.split()[1:5] for line in table.splitlines()[1:3]] == [
        ["2", "-", "2", "-"],
        ["2", "2.00", "2", "2.00"],
    ]


def test_propose_parses_settings() -> None:
    """Assignments change today's settings, with values as in TOML; the other settings are unchanged."""
    current = AlertSettings(raise_after=2, clear_after=4, mode="every_window")
    assignments = [
        "mode=lifecycle",
        "clear_after=5",
        "min_interval=60",
        'rules=[{groups="a/*", raise_after=3}]',
    ]
    assert override_alerts(current, assignments) == AlertSettings(
        raise_after=2, clear_after=5, min_interval=60, rules=(AlertOverride(groups="a/*", raise_after=3),)
    )


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("raise_after", "--propose raise_after: expected NAME=VALUE, such as raise_after=3"),
        ("raise_after=0", "--propose: alerts.raise_after must be greater than or equal to 1, not 0"),
        ("raise_after=x", "--propose: alerts.raise_after must be a valid integer, not 'x'"),
        ("raise_aftr=2", "--propose: alerts.raise_aftr is an unknown setting; did you mean 'raise_after'?"),
    ],
)
def test_propose_rejects_settings(assignment: str, reason: str) -> None:
    """An invalid assignment is refused in one line."""
    with pytest.raises(ConfigurationError) as error:
        override_alerts(AlertSettings(), [assignment])
    assert str(error.value) == reason


def test_command(toy_bundle: Path, recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`backtest --propose` prints the comparison after the report; contradictory settings are exit code 2."""
    files = ["--bundle", toy_bundle, "--recording", recording, "--out", recording.parent / "o.csv"]
    command = ["backtest", *map(str, files)]
    assert main([*command, "--propose", "raise_after=4", "--propose", "clear_after=6"]) == 0
    assert "2 incidents become 1" in capsys.readouterr().out
    assert main([*command, "--propose", "clear_below=0.9"]) == 2
    assert "alerts.clear_below is 0.9, above the bundle's threshold" in capsys.readouterr().err
