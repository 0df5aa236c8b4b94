import re
from pathlib import Path

import pandas as pd
import pytest

from monitor.core.errors import InvalidInputError
from tests.support.training_features import FEATURE_NAMES
from training.data import recordings, windows_file

HEADER = "ts,group,temperature_1,humidity_1,temperature_2,humidity_2,label\n"


def _write_csv(folder: Path, text: str) -> Path:
    path = folder / "recording.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_written_recording_is_read_back(plant: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
    """A recording that is written and read is the same to the bit, further columns included."""
    path = tmp_path / f"recording{suffix}"
    frame = plant.assign(temperature_1=plant["temperature_1"] / 3, kind="")
    recordings.write(frame, path)
    pd.testing.assert_frame_equal(recordings.read(path, FEATURE_NAMES), frame, check_dtype=False)


def test_a_failed_write_leaves_nothing(plant: pd.DataFrame, tmp_path: Path) -> None:
    """If writing fails, the old file is unchanged and no temporary file is left."""
    path = _write_csv(tmp_path, "old").rename(tmp_path / "recording.parquet")
    with pytest.raises(Exception, match="kind"):
        recordings.write(plant.assign(kind=[1, *["a"] * (len(plant) - 1)]), path)
    assert [file.name for file in tmp_path.iterdir()] == ["recording.parquet"]
    assert path.read_text() == "old"


def test_times_may_be_iso_8601(tmp_path: Path) -> None:
    """A time without a zone is UTC; one with a zone is the same moment."""
    path = _write_csv(
        tmp_path, HEADER + "1970-01-01T00:00:05,g,1,2,3,4,1\n1970-01-01T01:00:10.5+01:00,g,1,2,3,4,-1\n"
    )
    assert recordings.read(path, FEATURE_NAMES)["ts"].tolist() == [5.0, 10.5]


def test_times_may_be_milliseconds(tmp_path: Path) -> None:
    """A time above 1e11 is milliseconds, as in a payload and in `backtest`."""
    path = _write_csv(tmp_path, HEADER + "1278763200250,g,1,2,3,4,1\n")
    assert recordings.read(path, FEATURE_NAMES)["ts"].tolist() == [1278763200.25]


def test_further_columns_are_kept(tmp_path: Path) -> None:
    """A further column is numbers if all its cells are, else text as it is in the file."""
    path = _write_csv(
        tmp_path, HEADER.replace("\n", ",event,kind,note\n") + "1,g,1,2,3,4,1,0,,7\n2,g,1,2,3,4,1,1,,x\n"
    )
    frame = recordings.read(path, FEATURE_NAMES)
    assert frame["event"].tolist() == [0, 1]
    assert frame["kind"].tolist() == ["", ""]
    assert frame["note"].tolist() == ["7", "x"]


def test_an_empty_cell_is_no_error(tmp_path: Path) -> None:
    """A missing number makes its own reading incomplete, and no other; a group may be called NA."""
    frame = recordings.read(_write_csv(tmp_path, HEADER + "1,NA,1,,3,4,1\n2,NA,1,2,3,4,1\n"), FEATURE_NAMES)
    assert recordings.complete_mask(frame, FEATURE_NAMES).tolist() == [False, True]
    assert frame["group"].tolist() == ["NA", "NA"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2,g,1,wet,3,4,1", "row 2: humidity_1 is 'wet'; expected a number between"),
        ("2,g,,2,3,4,0", "row 2: label is '0'; expected"),
        ("2,g,1,2,3,4,0", "row 2: label is '0'; expected 1 (Normal) or -1 (Faulty)"),
        (
            "noon,g,1,2,3,4,1",
            "row 2: ts is 'noon'; expected seconds or milliseconds since 1970, or an ISO 8601",
        ),
        ("-1,g,1,2,3,4,1", "row 2: ts is '-1'; expected seconds"),
        ("2,g,1,inf,3,4,1", "row 2: humidity_1 is 'inf'; expected a number between"),
        ("2,,1,2,3,4,1", "row 2: group is ''; expected the name of a group"),
        ("2,g,1,2,3,4,1,9,9", "row 2 has 9 cells, expected 7"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path: Path, row: str, message: str) -> None:
    """An error says the file, the column, the row and the offending value."""
    path = _write_csv(tmp_path, f"{HEADER}1,g,1,2,3,4,1\n{row}\n")
    with pytest.raises(InvalidInputError) as caught:
        recordings.read(path, FEATURE_NAMES)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("ts,group,temperature_1\n1,g,2\n", "has no column 'humidity_1'"), (HEADER, "has no readings")],
)
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A file without a column that is needed, or without readings, is refused."""
    with pytest.raises(InvalidInputError, match=message):
        recordings.read(_write_csv(tmp_path, text), FEATURE_NAMES)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separator(tmp_path: Path, separator: str) -> None:
    """A file whose columns another character separates is refused with that character."""
    path = _write_csv(tmp_path, (HEADER + "1,g,1.5,2,3,4,1\n").replace(",", separator).replace(".", ","))
    reason = re.escape(f"the columns are separated by {separator!r} instead of ','")
    with pytest.raises(InvalidInputError, match=reason):
        recordings.read(path, FEATURE_NAMES)
    with pytest.raises(InvalidInputError, match=reason):
        windows_file.read(path, FEATURE_NAMES, 3, 5.0)


def test_ignored_columns(plant: pd.DataFrame) -> None:
    """Columns beside features, time, group and what says something about a reading are named."""
    frame = plant.assign(kind="", event=0, label=1, pressure=1013, co2=400)
    assert recordings.ignored_columns(frame, FEATURE_NAMES) == ["pressure", "co2"]


def test_single_values_are_refused(tmp_path: Path) -> None:
    """A recording of single values is refused with what reads it, and with what writes readings."""
    path = _write_csv(tmp_path, "ts,topic,group,feature,value\n5,p/a/t,a,temperature_1,20\n")
    with pytest.raises(InvalidInputError, match=r"one value a row.*`sensor-monitor record` without --raw"):
        recordings.read(path, FEATURE_NAMES)
