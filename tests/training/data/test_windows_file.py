from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitor.core.errors import InvalidInputError
from tests.support.training_features import FEATURE_NAMES
from training.data import dataset, windows_file


def _table(rows: int) -> pd.DataFrame:
    """Return sliding windows over readings 0, 1, 2, ...; a value is reading + feature / 10."""
    reading = np.arange(rows)[:, None] + np.arange(3)  # (window, step)
    flat = (reading[:, :, None] + np.arange(4) / 10).reshape(rows, 12)
    table = pd.DataFrame(flat, columns=[f"V{number}" for number in range(12)])
    return table.assign(Label=np.where(np.arange(rows) % 5 == 0, -1, 1))


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[[pd.DataFrame], Path]:
    """Return a function that writes a table as a file and returns its path."""

    def write(table: pd.DataFrame) -> Path:
        path = tmp_path / "windows.csv"
        table.to_csv(path, index=False)
        return path

    return write


def test_twelve_columns_are_three_readings(write_csv: Callable[[pd.DataFrame], Path]) -> None:
    """A row is three readings, oldest first; label -1 is Faulty, 1 is Normal, and Label may be any column."""
    table = _table(20)
    data = windows_file.read(
        write_csv(table[["Label", *table.columns[:-1]]]), FEATURE_NAMES, 3, sample_period=5
    )
    assert data.windows[4].tolist() == [[4, 4.1, 4.2, 4.3], [5, 5.1, 5.2, 5.3], [6, 6.1, 6.2, 6.3]]
    assert np.flatnonzero(data.faulty).tolist() == [0, 5, 10, 15]


def test_the_order_stands_for_time(write_csv: Callable[[pd.DataFrame], Path]) -> None:
    """Rows are taken to be one reading apart, so that a split by time shares no reading."""
    data = windows_file.read(write_csv(_table(100)), FEATURE_NAMES, 3, sample_period=5)
    assert data.ts[2].tolist() == [10, 15, 20]
    first, second = dataset.split(data, 0.2)
    assert (len(first), len(second)) == (80, 18)
    assert not set(first.windows[:, :, 0].ravel()) & set(second.windows[:, :, 0].ravel())


def _set_cell(row: int, column: str, value: str | float | None) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        changed = table.astype(object)
        changed.loc[row, column] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set_cell(3, "Label", 0), "row 4: Label is '0'; expected 1 (Normal) or -1 (Faulty)"),
        (_set_cell(3, "Label", "Faulty"), "row 4: Label is 'Faulty'; expected 1 (Normal) or -1 (Faulty)"),
        (_set_cell(3, "Label", None), "row 4: Label is ''; expected 1 (Normal) or -1 (Faulty)"),
        (_set_cell(7, "V11", "warm"), "row 8: V11 is 'warm'; expected a number between"),
        (_set_cell(7, "V0", None), "row 8: V0 is ''; expected a number between"),
        (_set_cell(0, "V5", "nan"), "row 1: V5 is 'nan'; expected a number between"),
        (_set_cell(9, "V5", "inf"), "row 10: V5 is 'inf'; expected a number between"),
        (lambda table: table.drop(columns="V5"), "has the columns V0, V1, V2, V3, V4, V6"),
        (lambda table: table.drop(columns="Label"), "expected Label and 12 of temperature_1"),
        (lambda table: table.assign(extra=1), "expected Label and 12"),
        (lambda table: table.head(0), "has no windows"),
    ],
)
def test_a_wrong_cell_is_named(
    change: Callable[[pd.DataFrame], pd.DataFrame], message: str, write_csv: Callable[[pd.DataFrame], Path]
) -> None:
    """An unknown label, a missing column and a cell that is no number are refused with row and column."""
    path = write_csv(change(_table(20)))
    with pytest.raises(InvalidInputError) as error:
        windows_file.read(path, FEATURE_NAMES, 3, 5)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    """A missing, an empty and a binary file are refused by name."""
    with pytest.raises(InvalidInputError, match=r"none\.csv: can't be read: No such file"):
        windows_file.read(tmp_path / "none.csv", FEATURE_NAMES, 3, 5)
    for content in (b"", b"\xff\xfe\x00\x01"):
        path = tmp_path / "bad.csv"
        path.write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"bad\.csv: "):
            windows_file.read(path, FEATURE_NAMES, 3, 5)


def test_other_steps_and_features(tmp_path: Path) -> None:
    """Five steps of two features are ten columns, whatever they are called."""
    path = tmp_path / "windows.csv"
    columns = [f"c{number}" for number in range(10)]
    pd.DataFrame([range(10), range(10, 20)], columns=columns).assign(Label=[1, -1]).to_csv(path, index=False)
    data = windows_file.read(path, ["vibration_1", "vibration_2"], 5, sample_period=5)
    assert data.windows[1].tolist() == [[10, 11], [12, 13], [14, 15], [16, 17], [18, 19]]
    assert data.ts[1].tolist() == [5, 10, 15, 20, 25]
    with pytest.raises(InvalidInputError, match="Label and 6 of vibration_1, vibration_2 for 3 reading"):
        windows_file.read(path, ["vibration_1", "vibration_2"], 3, sample_period=5)
