"""Recordings as data frames: read by the monitor's rules, and written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monitor.core.atomic_write import atomic_file
from monitor.core.errors import InvalidInputError
from monitor.recordings.cells import EXPECTED_LABEL, FAULTY_LABEL, NORMAL_LABEL
from monitor.recordings.reader import Recording
from training.data.features import FEATURE_NAMES

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
_OTHER_COLUMNS = ("ts", "group", "label", "kind", "event")


def read(path: Path) -> pd.DataFrame:
    """Read a recording and check every cell.

    Returns
    -------
    A frame in the file's order with `ts` (float, seconds since the Unix epoch), `group` (text), the
    features (float, NaN where a cell is empty), `label` (1 Normal, -1 Faulty) where the file has one,
    and any further columns: text as it is in a CSV file, or numbers where all of a column's cells are.

    Raises
    ------
    RecordingError : the file can't be read, has no readings, or lacks a column.
    InvalidInputError : a cell isn't what its column holds. Rows are counted from 1, without the header.
    """
    block = Recording(path).read(FEATURE_NAMES)
    invalid = block.find_invalid()
    if len(invalid):
        raise InvalidInputError(f"{path}: {block.describe_problem(int(invalid[0]), ignore_empty=True)}")
    parsed = {
        "ts": block.ts,
        "group": block.groups,
        **dict(zip(FEATURE_NAMES, block.values.T, strict=True)),  # noqa: PD011 - no frame's values
        "label": block.labels.astype(np.int64),
    }
    return pd.DataFrame(
        {name: parsed[name] if name in parsed else _to_series(cells) for name, cells in block.cells.items()}
    )


def read_labelled(path: Path) -> pd.DataFrame:
    """Read a recording that must have a label in each row.

    Raises
    ------
    InvalidInputError : as `read` does, or the file has no column `label`.
    """
    frame = read(path)
    if "label" not in frame.columns:
        raise InvalidInputError(
            f"{path}: has no column label; expected {EXPECTED_LABEL} in each row, as "
            "`sensor-training inject` writes them"
        )
    return frame


def check_complete(path: Path, frame: pd.DataFrame) -> None:
    """Refuse a recording in which no reading has a value in each feature.

    Raises
    ------
    InvalidInputError : it is one.
    """
    if complete_mask(frame).any():
        return
    empty = [name for name in FEATURE_NAMES if not np.isfinite(frame[name]).any()]
    if empty:
        raise InvalidInputError(
            f"{path}: column {empty[0]} has no value in any row; expected one of each feature"
        )
    raise InvalidInputError(f"{path}: no row has a value in each of {', '.join(FEATURE_NAMES)}")


def ignored_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns that look like features and that no model is trained on."""
    return [str(name) for name in frame.columns if name not in {*_OTHER_COLUMNS, *FEATURE_NAMES}]


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a recording whole or not at all; a file of the same name is replaced.

    Raises
    ------
    InvalidInputError : the name ends in neither `.csv` nor `.parquet`.
    """
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet"}:
        raise InvalidInputError(f"{path}: a recording's name must end in .csv or .parquet")
    with atomic_file(path) as draft:
        if suffix == ".csv":
            frame.to_csv(draft, index=False)
        else:
            frame.to_parquet(draft, index=False)


def complete_mask(frame: pd.DataFrame) -> pd.Series:
    """Return which readings have a finite number in every feature: bool, (reading,)."""
    return pd.Series(np.isfinite(frame[FEATURE_NAMES].to_numpy()).all(axis=1), index=frame.index)


def _to_series(cells: Sequence[Any]) -> pd.Series:
    """Return a further column: numbers if all its cells are, else the cells as they are."""
    series = pd.Series(cells)
    if (series == "").any():  # pandas would take it for a missing number
        return series
    try:
        return pd.to_numeric(series)
    except (TypeError, ValueError):
        return series
