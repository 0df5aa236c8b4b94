"""Recordings: readings in a file, one a row, as CSV or Parquet."""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api import types

from monitor.bundle import Feature
from monitor.core.errors import InvalidInputError

__all__ = ["FAULTY_LABEL", "FEATURES", "FEATURE_NAMES", "NORMAL_LABEL", "complete_mask", "read", "write"]

FEATURES = (
    Feature("temperature_1", "degC"),
    Feature("humidity_1", "%RH"),
    Feature("temperature_2", "degC"),
    Feature("humidity_2", "%RH"),
)
FEATURE_NAMES = [feature.name for feature in FEATURES]

NORMAL_LABEL = 1
FAULTY_LABEL = -1

_FORMATS = {".csv": "CSV", ".parquet": "Parquet"}
# Seconds would be the year 5138 from here on: the file's times are milliseconds.
_MAX_TS = 1e11


def read(path: Path) -> pd.DataFrame:
    """Read a recording and check it.

    Returns
    -------
    A frame in the file's order with `ts` (float, seconds since the Unix epoch), `group` (text), the
    features (float, NaN where a cell is empty), `label` (1 Normal, -1 Faulty) where the file has one,
    and any further columns as they are.

    Raises
    ------
    InvalidInputError : the file can't be read, lacks a column, or a cell isn't what its column holds. Rows are
        counted from 1, without the header.
    """
    frame = _load(path)
    for name in ["ts", "group", *FEATURE_NAMES]:
        if name not in frame.columns:
            raise InvalidInputError(
                f"{path}: has no column {name}; expected ts, group, {', '.join(FEATURE_NAMES)}[, label]"
            )
    if frame.empty:
        raise InvalidInputError(f"{path}: has no readings")
    frame["ts"] = _parse_ts(path, frame["ts"])
    frame["group"] = _parse_groups(path, frame["group"])
    for name in FEATURE_NAMES:
        frame[name] = _parse_numbers(path, frame[name])
    if "label" in frame.columns:
        frame["label"] = _parse_labels(path, frame["label"])
    return frame


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a recording so that it is there whole or not at all; one of the same name is replaced.

    Raises
    ------
    InvalidInputError : the name ends in neither `.csv` nor `.parquet`.
    """
    suffix = _suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}{suffix}")
    try:
        if suffix == ".csv":
            frame.to_csv(draft, index=False)
        else:
            frame.to_parquet(draft, index=False)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def complete_mask(frame: pd.DataFrame) -> pd.Series:
    """Return which readings have a finite number in every feature: bool, (reading,)."""
    return pd.Series(np.isfinite(frame[FEATURE_NAMES].to_numpy()).all(axis=1), index=frame.index)


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise InvalidInputError(f"{path}: a recording's name must end in .csv or .parquet")
    return suffix


def _load(path: Path) -> pd.DataFrame:
    suffix = _suffix(path)
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        # As text: pandas would round some numbers, and take a station that is called NA for a missing one.
        return pd.read_csv(
            path, dtype=dict.fromkeys(["ts", "group", *FEATURE_NAMES], str), keep_default_na=False
        )
    except FileNotFoundError:
        raise InvalidInputError(f"{path}: no such file") from None
    except OSError as error:
        raise InvalidInputError(f"{path}: can't be read: {error.strerror or error}") from error
    except ValueError as error:  # what pandas and pyarrow raise for a damaged file derives from it
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInputError(f"{path}: is not readable as {_FORMATS[suffix]}: {first_line}") from error


def _parse_ts(path: Path, column: pd.Series) -> pd.Series:
    numbers = _parse_floats(column)
    if types.is_datetime64_any_dtype(column) or numbers.isna().all():
        times = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
        _reject_cells(path, column, times.isna(), "is neither seconds since 1970 nor an ISO 8601 time")
        return (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    _reject_cells(
        path, column, ~numbers.abs().lt(np.inf), "is neither seconds since 1970 nor an ISO 8601 time"
    )
    _reject_cells(path, column, numbers > _MAX_TS, "is too large for seconds since 1970")
    return numbers


def _parse_groups(path: Path, column: pd.Series) -> pd.Series:
    _reject_cells(path, column, column.isna() | (column == ""), "is no group's name")
    return column.astype(str)


def _parse_numbers(path: Path, column: pd.Series) -> pd.Series:
    numbers = _parse_floats(column)
    missing = column.isna() | column.astype(str).str.strip().str.lower().isin(["", "nan"])
    _reject_cells(path, column, numbers.isna() & ~missing, "is not a number")
    return numbers


def _parse_labels(path: Path, column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    _reject_cells(
        path, column, ~numbers.isin([NORMAL_LABEL, FAULTY_LABEL]), "is neither 1 (Normal) nor -1 (Faulty)"
    )
    return numbers.astype(int)


def _parse_floats(column: pd.Series) -> pd.Series:
    """Return the cells as numbers, exactly as written; NaN where one isn't a number."""
    if types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
        return column.astype(float)
    return pd.Series(
        [_parse_float(cell) for cell in column], index=column.index, name=column.name, dtype=float
    )


def _parse_float(cell: object) -> float:
    try:
        return float(cell) if isinstance(cell, str) else math.nan
    except ValueError:
        return math.nan


def _reject_cells(path: Path, column: pd.Series, invalid: pd.Series, reason: str) -> None:
    """Raise for the first cell of a column that is wrong."""
    if invalid.any():
        row = int(np.argmax(invalid.to_numpy()))
        raise InvalidInputError(
            f"{path}: column {column.name}, row {row + 1}: {str(column.iloc[row])!r} {reason}"
        )
