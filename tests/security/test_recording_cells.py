"""Names from outside that are formulas for a spreadsheet program, in the files that commands write."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.cli.main import main
from monitor.cli.recording_file import RecordingFile
from monitor.core.verdicts import AlertEvent
from monitor.groups.reading_history import ReadingsAround
from monitor.operators.false_alarms import FalseAlarmFile
from monitor.recordings.csv_text import escape_cell, restore_cells, to_csv
from monitor.recordings.reader import Recording
from monitor.recordings.values import VALUE_COLUMNS, ValueRecording, open_recording
from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_record import HEADER, record_process
from tests.support.processes import connect_client
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES
from training.data import recordings

FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    "'=1+1",
    "''=1+1",
    "\uff1d1+1",
    '=HYPERLINK("http://evil.example","x")',
]
PLAIN = ["line1/a", "'quoted", "''", "'", "-5", "+5.5e3", "a=b", "a,b", 'a"b']


def _cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _assert_harmless(rows: Sequence[Sequence[str]]) -> None:
    """Assert that a spreadsheet program takes no cell for a formula."""
    for cell in (cell for row in rows for cell in row):
        is_number = cell.lstrip("+-").replace(".", "").replace("e", "").isdigit()
        assert is_number or not cell.lstrip(" ").startswith(tuple("=+-@\t\r\n\uff1d")), cell


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_are_escaped(name: str) -> None:
    """A text that begins like a formula, also behind blanks and apostrophes, gets an apostrophe."""
    assert escape_cell(name) == f"'{name}"


@pytest.mark.parametrize("name", PLAIN)
def test_other_cells_stay(name: str) -> None:
    """Other texts stay as they are, numbers below zero too."""
    assert escape_cell(name) == name
    assert (escape_cell(-5.0), escape_cell(-5)) == (-5.0, -5)


@given(st.lists(st.text(alphabet="'=+-@ \t\r\n5e.a,\"\uff1d"), min_size=1))
@example(["'=", "''=", "'"])
def test_any_text_is_read_back(names: list[str]) -> None:
    """Whatever the text, it is read back unchanged."""
    rows = list(csv.reader(io.StringIO(to_csv([name, "end"] for name in names), newline="")))
    assert restore_cells([row[0] for row in rows]) == names


def test_record(mosquitto: Mosquitto, tmp_path: Path, toy_bundle: Path) -> None:
    """`record` writes groups that are no formulas; they are read back unchanged."""
    names = [name for name in FORMULAS if not {"+", "#", "/"} & {*name}]
    with (
        record_process(tmp_path, toy_bundle, mosquitto.port, header=HEADER) as record,
        connect_client(mosquitto.port) as plant,
    ):
        for name in names:
            plant.publish(f"plant/{name}/a/reading", {"ts": 1.0e9, **dict(zip(NAMES, HEALTHY, strict=True))})
        wait_until(lambda: names[-1] in record.out.read_text(), "the last is written")
        record.stop()
    _assert_harmless(_cells(record.out))
    groups = Recording(record.out).read(NAMES).groups
    assert {f"{name}/a" for name in names} == {*groups} - {"first/one"}


@pytest.mark.parametrize("name", [*FORMULAS, *PLAIN])
def test_values(tmp_path: Path, name: str) -> None:
    """`record --raw` writes topics, groups and features that are no formulas, and they are read back."""
    file = RecordingFile(tmp_path / "values.csv")
    file.append([VALUE_COLUMNS, [1.0, name, name, name, -20.0, 2.0, 0]])
    file.close(keep=True)
    _assert_harmless(_cells(tmp_path / "values.csv"))
    recording = open_recording(tmp_path / "values.csv")
    assert isinstance(recording, ValueRecording)
    (block,) = recording.blocks()
    assert (block.topics, block.groups, block.features) == ([name], [name], [name])
    assert block.cells["value"] == ("-20.0",)


@pytest.mark.parametrize("name", [*FORMULAS, *PLAIN])
def test_backtest(toy_bundle: Path, tmp_path: Path, name: str) -> None:
    """`backtest` reads a group whatever its name, and writes a table without formulas."""
    recording, out = tmp_path / "recording.csv", tmp_path / "scores.csv"
    rows: list[list[object]] = [[5.0 * number, name, *HEALTHY] for number in range(5)]
    rows.append(["=1+1", name, *HEALTHY])  # no time: it is shown as it came
    recording.write_text(to_csv([["ts", "group", *NAMES], *rows]), newline="", encoding="utf-8")
    flags = ["--bundle", str(toy_bundle), "--recording", str(recording), "--out", str(out)]
    assert main(["backtest", *flags]) == 0
    _, *scored = _cells(out)
    _assert_harmless(scored)
    assert restore_cells([row[1] for row in scored]) == [name] * 6
    assert [row[2] for row in scored] == ["filling"] * 2 + ["judged"] * 3 + ["malformed"]


@pytest.mark.parametrize("name", [*FORMULAS, *PLAIN])
def test_false_alarms(tmp_path: Path, name: str) -> None:
    """Readings around a false alarm are written without formulas; printable names are read back unchanged."""
    file = FalseAlarmFile(tmp_path / "false.csv", NAMES)
    event = AlertEvent(
        f"{name}:1000",
        "firing",
        name,
        0.9,
        1.0,
        None,
        [1.0, 2.0, 3.0],
        [HEALTHY, HEALTHY, FAULTY],
        out_of_range=False,
    )
    around = ReadingsAround(np.array([0.0, 1.0]), np.array([HEALTHY, FAULTY]))
    assert file.append(event, around)
    assert not file.append(event, around)
    _assert_harmless(_cells(file.path))
    groups = Recording(file.path).read(NAMES).groups
    assert len(groups) == 2
    if name.isprintable():
        assert set(groups) == {name}


@pytest.mark.parametrize("name", [*FORMULAS, *PLAIN])
def test_training(tmp_path: Path, name: str) -> None:
    """Recordings that training writes have no formulas, also as columns, and are read back unchanged."""
    frame = pd.DataFrame({"ts": [1.0, 2.0], "group": name, "value": [-1.0, 2.0], "=evil": [1.0, 2.0]})
    recordings.write(frame, tmp_path / "recording.csv")
    _assert_harmless(_cells(tmp_path / "recording.csv"))
    recording = Recording(tmp_path / "recording.csv")
    assert recording.features == ["value", "=evil"]
    assert recording.read().groups == [name] * 2
