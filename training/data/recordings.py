"""Reads recordings into data frames, with the parser of the monitor, and writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monitor.core.atomic_write import atomic_file
from monitor.core.errors import InvalidInputError, RecordingError
from monitor.recordings.cells import EXPECTED_LABEL, FAULTY_LABEL, NORMAL_LABEL
from monitor.recordings.csv_text import escape_cell
from monitor.recordings.reader import Recording

__all__ = [
    "FAULTY_LABEL",
    "NORMAL_LABEL",
    "check_complete",
    "complete_mask",
    "ignored_columns",
    "read",
    "read_labelled",
    "write",
]

# Columns beside the features that a recording may have.
_OTHER_COLUMNS = ("ts", "group", "label", "kind", "event", "incident")


def read(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read a recording and check every cell.

    Parameters
    ----------
    names : names of the features, which the file has a column of each.

    Returns
    -------
    A frame with the rows in file order and these columns: `ts` (float, seconds since the Unix epoch), `group`
    (text), the features (float, NaN for an empty cell), `label` (1 Normal, -1 Faulty) if the file has it, and
    all further columns of the file, converted to numbers if all cells of the column are numbers.

    Raises
    ------
    RecordingError : the file cannot be read, has no readings, or lacks a column.
    InvalidInputError : a cell has an invalid value. The message counts rows from 1, without the header.
    """
    recording = Recording(path)
    missing = [name for name in names if name not in recording.features]
    if missing:
        raise RecordingError(
            f"{path}: has no column {missing[0]!r}, expected ts,group,{','.join(names)}[,label]; "
            "a recording of other features needs --config with their [[features]]"
        )
    block = recording.read(names)
    invalid = block.find_invalid()
    if len(invalid):
        raise InvalidInputError(f"{path}: {block.describe_problem(int(invalid[0]), ignore_empty=True)}")
    parsed = {
        "ts": block.ts,
        "group": block.groups,
        **dict(zip(names, block.values.T, strict=True)),  # noqa: PD011 - no frame's values
        "label": block.labels.astype(np.int64),
    }
    return pd.DataFrame(
        {name: parsed[name] if name in parsed else _to_series(cells) for name, cells in block.cells.items()}
    )


def read_labelled(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read a recording; raise an error if it has no labels.

    Raises
    ------
    RecordingError, InvalidInputError : see `read`; also if the file has no column `label`.
    """
    frame = read(path, names)
    if "label" not in frame.columns:
        raise InvalidInputError(
            f"{path}: has no column label; expected {EXPECTED_LABEL} in each row, as "
            "`sensor-training inject` writes them, or `sensor-training fit --healthy`, which needs none"
        )
    return frame


def check_complete(path: Path, frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse a recording in which no reading has a value in each feature.

    Raises
    ------
    InvalidInputError : it is one.
    """
    if complete_mask(frame, names).any():
        return
    empty = [name for name in names if not np.isfinite(frame[name]).any()]
    if empty:
        raise InvalidInputError(
            f"{path}: column {empty[0]} has no value in any row; expected one of each feature"
        )
    raise InvalidInputError(f"{path}: no row has a value in each of {', '.join(names)}")


def ignored_columns(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return the columns that look like features and that no model is trained on."""
    return [str(name) for name in frame.columns if name not in {*_OTHER_COLUMNS, *names}]


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a recording atomically; a file of the same name is replaced.

    Raises
    ------
    InvalidInputError : the file name does not end in `.csv` or `.parquet`.
    """
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet"}:
        raise InvalidInputError(f"{path}: a recording's name must end in .csv or .parquet")
    with atomic_file(path) as temporary_path:
        if suffix == ".csv":
            # With both characters as line end, pandas puts texts with either of them in quotes.
            _escape(frame).to_csv(temporary_path, index=False, lineterminator="\r\n")
        else:
            frame.to_parquet(temporary_path, index=False)


def _escape(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose texts are no formulas for a spreadsheet program."""
    texts = frame.select_dtypes(exclude="number")
    escaped = {str(name): column.map(escape_cell) for name, column in texts.items()}
    return frame.assign(**escaped).rename(columns=escape_cell)


def complete_mask(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Return a mask of the readings with a finite number in every feature: bool, (reading,)."""
    return pd.Series(np.isfinite(frame[list(names)].to_numpy()).all(axis=1), index=frame.index)


def _to_series(cells: Sequence[Any]) -> pd.Series:
    """Convert the cells of a column to numbers if all are numbers, else leave them unchanged."""
    series = pd.Series(cells)
    if (series == "").any():  # `to_numeric` would convert an empty cell to NaN
        return series
    try:
        return pd.to_numeric(series)
    except (TypeError, ValueError):
        return series
