from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from monitor.core.errors import RecordingError
from monitor.recordings.reader import Recording
from monitor.recordings.values import ValueBlock, ValueRecording, open_recording

HEADER = "ts,topic,group,feature,value"


def write(folder: Path, *lines: str) -> Path:
    """Write a recording; return its path."""
    path = folder / "values.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path) -> ValueBlock:
    """Return the only block of a recording of values."""
    recording = open_recording(path)
    assert isinstance(recording, ValueRecording)
    (block,) = recording.blocks()
    return block


def test_columns(tmp_path: Path) -> None:
    """Each row is a value with time, topic, group and feature; an empty cell: the sensor had none."""
    block = read(
        write(
            tmp_path,
            f"{HEADER},arrived_at,retained",
            "1000.5,plant/a/t,a,temperature_1,20.25,1001.0,",
            "2001-09-09T01:46:40Z,plant/b/t,b,temperature_1,,1e9,1",
        )
    )
    assert block.ts.tolist() == [1000.5, 1e9]
    assert block.topics == ["plant/a/t", "plant/b/t"]
    assert (block.groups, block.features) == (["a", "b"], ["temperature_1"] * 2)
    np.testing.assert_array_equal(block.values, [20.25, np.nan])
    assert block.arrived_at.tolist() == [1001.0, 1e9]
    assert block.retained.tolist() == [False, True]
    assert not block.find_invalid()


def test_optional_columns(tmp_path: Path) -> None:
    """Topic, arrival and retain flag may be missing, columns in any order; further columns are ignored."""
    block = read(write(tmp_path, "value,feature,unit,group,ts", "1,humidity_1,%RH,a,5"))
    assert (block.topics, block.groups, block.ts.tolist()) == ([""], ["a"], [5.0])
    assert block.arrived_at.tolist() == [np.inf]
    assert block.retained.tolist() == [False]


def test_parquet(tmp_path: Path) -> None:
    """A Parquet file gives the same values as a CSV file."""
    path = tmp_path / "values.parquet"
    columns = {"ts": [5.0, 6.0], "group": ["a", "a"], "feature": ["t", "t"], "value": [1.5, None]}
    parquet.write_table(pa.table(columns), path)
    block = read(path)
    np.testing.assert_array_equal(block.values, [1.5, np.nan])
    assert block.ts.tolist() == [5, 6]
    assert not block.find_invalid()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("x,p,a,t,1,5", "row 1: ts is 'x'"),
        ("5,p,,t,1,5", "row 1: group is ''"),
        ("5,p,a,,1,5", "row 1: feature is ''"),
        ("5,p,a,t,1,", "row 1: arrived_at is ''"),
        ("5,p,a,t,high,5", "row 1: value is 'high'; expected a number"),
        ("5,p,a,t,1e13,5", "row 1: value is '1e13'; expected a number"),
    ],
)
def test_invalid_cells(tmp_path: Path, row: str, problem: str) -> None:
    """A cell that can't be used is named with its row, column and what was expected."""
    block = read(write(tmp_path, f"{HEADER},arrived_at", row, "6,p,a,t,1,6"))
    assert block.find_invalid() == [0]
    assert problem in block.describe_problem(0)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["ts,feature,value", "5,t,1"], "has no column 'group', expected ts,topic,group,feature,value"),
        ([HEADER], "only a header"),
        ([HEADER, "1,2"], "row 1 has 2 cells, expected 5"),
        (["ts,group,feature,value,value", "5,a,t,1,2"], "more than one column 'value'"),
    ],
)
def test_unreadable_file(tmp_path: Path, lines: list[str], problem: str) -> None:
    """A file that isn't a recording of values is refused with the reason."""
    with pytest.raises(RecordingError, match=problem):
        read(write(tmp_path, *lines))


def test_topics_where_they_are_needed(tmp_path: Path) -> None:
    """Without topics a recording can be aligned, and whoever needs topics says so."""
    recording = open_recording(write(tmp_path, "ts,group,feature,value", "5,a,t,1"))
    assert isinstance(recording, ValueRecording)
    with pytest.raises(RecordingError, match="has no column 'topic'"):
        recording.require_topics()


def test_columns_tell_what_a_row_is(tmp_path: Path) -> None:
    """A recording of readings is opened as one, and is not taken for one of values or the other way round."""
    assert isinstance(open_recording(write(tmp_path, "ts,group,t,h", "5,a,1,2")), Recording)
    with pytest.raises(RecordingError, match=r"one value a row.*`sensor-monitor record` without --raw"):
        Recording(write(tmp_path, HEADER, "5,p,a,t,1"))
