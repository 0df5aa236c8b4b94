from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from monitor.core.errors import RecordingError
from monitor.recordings.reader import Recording

HEADER = "ts,group,a,b"


def _write_csv(folder: Path, *lines: str) -> Recording:
    path = folder / "r.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return Recording(path)


def _write_parquet(folder: Path, columns: dict[str, Any]) -> Recording:
    path = folder / "r.parquet"
    parquet.write_table(pa.table(columns), path)
    return Recording(path)


def test_csv(tmp_path: Path) -> None:
    """A CSV row is a reading with its time, group, values and label, in the file's order."""
    recording = _write_csv(tmp_path, f"{HEADER},label", "5,g/h,1.5,2,1", "4,g,-3,4e1,-1")
    assert recording.features == ["a", "b"]
    first, second = recording.rows()
    assert (first.ts_text, first.ts, first.group, first.values, first.is_faulty) == (
        "5",
        5.0,
        "g/h",
        [1.5, 2],
        False,
    )
    assert (second.ts, second.group, second.values, second.is_faulty) == (4.0, "g", [-3, 40], True)


def test_csv_of_other_programs(tmp_path: Path) -> None:
    """A byte order mark and blank lines, as other programs write them, are ignored."""
    recording = _write_csv(tmp_path, f"\ufeff{HEADER}", "5,g,1,2", "", "6,g,3,4", "")
    assert [row.ts for row in recording.rows()] == [5.0, 6.0]


def test_parquet(tmp_path: Path) -> None:
    """A Parquet row is a reading, with None where a number is missing."""
    recording = _write_parquet(
        tmp_path,
        {"ts": [5.0, 4.0], "group": ["g", "h"], "a": [1, None], "b": [2.5, float("nan")], "label": [1, -1]},
    )
    first, second = recording.rows()
    assert (first.ts, first.group, first.values, first.is_faulty) == (5.0, "g", [1, 2.5], False)
    assert (second.ts, second.group, second.values, second.is_faulty) == (4.0, "h", [None, None], True)


def test_columns_in_any_order(tmp_path: Path) -> None:
    """Columns are found by name, and values are in the requested order."""
    recording = _write_csv(tmp_path, "b,kind,ts,a,group", "2,drift,5,1,g")
    assert [row.values for row in recording.rows(["a", "b"])] == [[1, 2]]
    assert [(row.ts, row.group, row.is_faulty) for row in recording.rows(["b"])] == [(5, "g", False)]


def test_annotations_are_no_features(tmp_path: Path) -> None:
    """The columns label, kind and event describe a reading and are not among its features."""
    recording = _write_csv(tmp_path, f"{HEADER},label,kind,event", "1,g,1,2,1,none,0")
    assert recording.features == ["a", "b"]


@pytest.mark.parametrize(
    ("cell", "ts"),
    [
        ("1700000000", 1.7e9),
        ("1700000000250", 1700000000.25),
        ("2023-11-14T22:13:20", 1.7e9),
        ("2023-11-15T00:13:20+02:00", 1.7e9),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("-1", None),
    ],
)
def test_ts(tmp_path: Path, cell: str, ts: float | None) -> None:
    """The rule for ts is that of payloads, and the row keeps the cell's text even if it is no time."""
    (row,) = _write_csv(tmp_path, HEADER, f"{cell},g,1,2").rows()
    assert (row.ts, row.ts_text) == (ts, cell)


@pytest.mark.parametrize("cell", ["", "x", "nan", "inf", "-inf", "1e13"])
def test_unusable_cells(tmp_path: Path, cell: str) -> None:
    """A cell that is no number, or none that a sensor could measure, is None, and never filled in."""
    (row,) = _write_csv(tmp_path, HEADER, f"1,g,{cell},2").rows()
    assert row.values == [None, 2]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "soon,g,1,2",
            "row 2: ts is 'soon'; expected seconds or milliseconds since 1970, or an ISO 8601 time",
        ),
        ("5,,1,2", "row 2: group is ''; expected the name of a group"),
        ("5,g,1,x", "row 2: b is 'x'; expected a number between -1e+12 and 1e+12"),
        ("5,g,,2", "row 2: a is ''; expected a number between -1e+12 and 1e+12"),
        ("5,g,,x", "row 2: b is 'x'; expected a number between -1e+12 and 1e+12"),
    ],
)
def test_problem(tmp_path: Path, line: str, problem: str) -> None:
    """A reading that can't be judged says row, column, cell and what was expected."""
    first, second = _write_csv(tmp_path, HEADER, "1,g,1,2", line).rows()
    assert (first.problem, second.problem) == ("", problem)


def test_empty_cells_are_valid(tmp_path: Path) -> None:
    """An empty cell of a feature is a missing value; any other cell that isn't a number is invalid."""
    lines = ["1,g,1,2", "2,g,,2", "3,g,nan,2", "4,g,x,2", "soon,g,1,2"]
    block = _write_csv(tmp_path, HEADER, *lines).read()
    assert block.find_incomplete().tolist() == [1, 2, 3, 4]
    assert block.find_invalid().tolist() == [3, 4]


def test_labels(tmp_path: Path) -> None:
    """A label other than 1 and -1 is invalid, but the reading can be judged."""
    block = _write_csv(tmp_path, f"{HEADER},label", *(f"1,g,1,2,{label}" for label in ("1", "-1.0", "0", "")))
    block = block.read()
    assert block.labels.tolist() == [1, -1, 0, 0]
    assert block.find_incomplete().tolist() == []
    assert block.find_invalid().tolist() == [2, 3]
    assert block.describe_problem(2) == "row 3: label is '0'; expected 1 (Normal) or -1 (Faulty)"


def test_booleans_are_no_numbers(tmp_path: Path) -> None:
    """A Parquet file's booleans are no values, as those in a payload are not."""
    (row,) = _write_parquet(tmp_path, {"ts": [5.0], "group": ["g"], "a": [True]}).rows()
    assert row.values == [None]


def test_parquet_times(tmp_path: Path) -> None:
    """A Parquet file's timestamps are read to the microsecond."""
    ts = pa.array([1_700_000_000_250_000_001], pa.timestamp("ns", "UTC"))
    (row,) = _write_parquet(tmp_path, {"ts": ts, "group": ["g"], "a": [1]}).rows()
    assert row.ts == 1700000000.25


def test_blocks(tmp_path: Path) -> None:
    """Blocks hold the rows in the file's order with their numbers, and `read` returns all in one block."""
    recording = _write_csv(tmp_path, HEADER, *(f"{ts},g,{ts},2" for ts in range(5)))
    blocks = list(recording.blocks(["b", "a"], rows_per_block=2))
    assert [(block.first_row, block.ts.tolist()) for block in blocks] == [(1, [0, 1]), (3, [2, 3]), (5, [4])]
    assert blocks[1].values.tolist() == [[2, 2], [2, 3]]
    assert recording.read().ts.tolist() == [0, 1, 2, 3, 4]


def test_no_readings(tmp_path: Path) -> None:
    """A file with only a header is refused."""
    with pytest.raises(RecordingError, match=r"r\.csv: has no readings"):
        list(_write_csv(tmp_path, HEADER).rows())


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_another_delimiter(tmp_path: Path, delimiter: str) -> None:
    """A file with another delimiter than a comma is refused, and the delimiter named."""
    with pytest.raises(RecordingError, match="has no column 'ts'") as error:
        _write_csv(tmp_path, HEADER.replace(",", delimiter), f"1{delimiter}g{delimiter}1{delimiter}2")
    assert str(error.value).endswith(f"separated by {delimiter!r} instead of ','")


def test_a_repeated_column(tmp_path: Path) -> None:
    """A file with two columns of the same name is refused if that column is needed."""
    recording = _write_csv(tmp_path, "ts,group,a,b,b", "1,g,1,2,3")
    assert [row.values for row in recording.rows(["a"])] == [[1]]
    with pytest.raises(RecordingError, match="has more than one column 'b'"):
        list(recording.rows(["a", "b"]))


@pytest.mark.parametrize("missing", ["ts", "group"])
def test_missing_column(tmp_path: Path, missing: str) -> None:
    """A file without ts or group is refused with its name and the column's."""
    with pytest.raises(RecordingError, match=rf"r\.csv: has no column '{missing}', expected ts,group"):
        _write_csv(tmp_path, HEADER.replace(missing, "other"))


def test_missing_feature(tmp_path: Path) -> None:
    """A recording without a feature of the bundle is refused with its name and the feature's."""
    recording = _write_csv(tmp_path, HEADER, "1,g,1,2")
    with pytest.raises(RecordingError, match=r"r\.csv: has no column 'humidity_1', which the bundle's model"):
        list(recording.rows(["a", "humidity_1"]))


@pytest.mark.parametrize("line", ["1,g,1", "1,g,1,2,3"])
def test_wrong_number_of_cells(tmp_path: Path, line: str) -> None:
    """A row with more or fewer cells than the header is refused with its number."""
    recording = _write_csv(tmp_path, HEADER, "1,g,1,2", line)
    with pytest.raises(RecordingError, match=rf"r\.csv: row 2 has {line.count(',') + 1} cells, expected 4"):
        list(recording.rows())


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("r.csv", b"ts,group\n\xff\xff", "is no CSV file"),
        ("r.csv", b"", "has no column 'ts'"),
        ("r.parquet", b"ts,group,a\n1,g,2\n", "is no Parquet file"),
        ("r.parquet", b"", "is no Parquet file"),
    ],
)
def test_unreadable(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    """A file in another format, or an empty one, is refused with its name."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError) as error:
        list(Recording(path).rows())
    assert str(error.value).startswith(f"{path}: {reason}")


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    """A missing file is refused with its name."""
    path = tmp_path / name
    with pytest.raises(RecordingError, match=f"{path}: can't be read: .*No such file.*; expected a CSV or"):
        Recording(path)


def test_parquet_cut_short(tmp_path: Path) -> None:
    """A truncated Parquet file is refused with its name."""
    _write_parquet(tmp_path, {"ts": [1.0], "group": ["g"], "a": [1.0]})
    path = tmp_path / "r.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecordingError, match=r"r\.parquet: is no Parquet file"):
        Recording(path)
