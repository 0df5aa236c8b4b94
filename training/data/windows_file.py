"""Labelled windows in a CSV file: 12 columns, oldest reading first, and `Label` 1 (Normal) or -1 (Faulty).

The monitor's file of false alarms is one as well, and says of each window where it comes from.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from monitor.core.arrays import FloatArray
from training.config.errors import InputError
from training.data.dataset import STEPS, Dataset
from training.data.recordings import FAULTY, HEALTHY, NAMES

__all__ = ["read"]

_LABEL = "Label"
_ORIGIN = {"incident", "ts"}
_WIDTH = STEPS * len(NAMES)


def read(path: Path, sample_period: float) -> Dataset:
    """Read the windows and check every cell.

    The file holds no time and no group: its order stands for time, each row one reading (`sample_period`
    seconds) after the row before, as a window that slides over one group's readings gives them.

    Raises
    ------
    InputError : the file can't be read, has other columns, or a cell isn't what its column holds. Rows are
        counted from 1, without the header.
    """
    table = _load(path)
    columns = [name for name in table.columns if name not in {_LABEL, *_ORIGIN}]
    if _LABEL not in table.columns or len(columns) != _WIDTH:
        raise InputError(
            f"{path}: has the columns {', '.join(map(str, table.columns))}; expected {_LABEL} and {_WIDTH} "
            f"of {', '.join(NAMES)} for {STEPS} readings, oldest first"
        )
    if table.empty:
        raise InputError(f"{path}: has no windows")
    flat = np.column_stack([_numbers(path, table[name]) for name in columns])  # (window, column)
    label = _numbers(path, table[_LABEL])
    unknown = ~np.isin(label, [HEALTHY, FAULTY])
    if unknown.any():
        raise _refusal(path, table[_LABEL], int(np.argmax(unknown)), "is neither 1 (Normal) nor -1 (Faulty)")
    begin = np.arange(len(table), dtype=np.float64)
    return Dataset.of(
        stretches=np.zeros(len(table), dtype=np.intp),
        ts=(begin[:, None] + np.arange(STEPS)) * sample_period,  # (window, step)
        windows=flat.reshape(-1, STEPS, len(NAMES)),
        faulty=label == FAULTY,
        kinds=np.full(len(table), "", dtype=str),
    )


def _load(path: Path) -> pd.DataFrame:
    try:
        # As text, so that a cell can be shown as it is written.
        return pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except ValueError as error:  # what pandas raises for a damaged file derives from it
        raise InputError(f"{path}: is not readable as CSV: {str(error).splitlines()[0]}") from error


def _numbers(path: Path, column: pd.Series) -> FloatArray:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        raise _refusal(path, column, int(np.argmax(wrong)), "is not a finite number")
    return numbers


def _refusal(path: Path, column: pd.Series, row: int, why: str) -> InputError:
    return InputError(f"{path}: row {row + 1}, column {column.name}: {column.iloc[row]!r} {why}")
