"""Reads labelled windows from a CSV file: steps x features columns, oldest reading first, and `Label`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from monitor.core.errors import InvalidInputError
from monitor.recordings.bounds import check_file
from monitor.recordings.cells import (
    EXPECTED_LABEL,
    EXPECTED_VALUE,
    FAULTY_LABEL,
    describe_cell,
    parse_labels,
    parse_values,
)
from monitor.recordings.table import describe_delimiter
from training.data.dataset import Dataset

__all__ = ["read"]

_LABEL_COLUMN = "Label"
_MAX_BYTES = 1 << 30  # 5 million windows of 3 x 4 numbers; they are read at once, into some 10 GB


def read(path: Path, names: Sequence[str], steps: int, sample_period: float) -> Dataset:
    """Read the windows and check every cell.

    The file has no timestamps and no groups. The rows are treated as consecutive sliding windows of one
    group: each window is `sample_period` seconds later than the window of the previous row.

    Parameters
    ----------
    names : names of the features, in order.
    steps : number of readings in a window.

    Raises
    ------
    InvalidInputError : the file cannot be read, has other columns, or a cell has an invalid value. The
        message counts rows from 1, without the header.
    """
    table = _load(path)
    column_count = steps * len(names)
    columns = [name for name in table.columns if name != _LABEL_COLUMN]
    if _LABEL_COLUMN not in table.columns or len(columns) != column_count:
        raise InvalidInputError(
            f"{path}: has the columns {', '.join(map(str, table.columns))}; "
            f"expected {_LABEL_COLUMN} and {column_count} of {', '.join(names)} "
            f"for {steps} readings, oldest first{describe_delimiter(list(table.columns))}"
        )
    if table.empty:
        raise InvalidInputError(f"{path}: has no windows")
    flat = np.column_stack([parse_values(table[name].tolist()) for name in columns])  # (window, column)
    labels = parse_labels(table[_LABEL_COLUMN].tolist())  # (window,)
    for name, is_invalid, expected in (
        *((name, np.isnan(values), EXPECTED_VALUE) for name, values in zip(columns, flat.T, strict=True)),
        (_LABEL_COLUMN, labels == 0, EXPECTED_LABEL),
    ):
        if is_invalid.any():
            row = int(np.argmax(is_invalid))
            problem = describe_cell(row + 1, name, table[name].iloc[row], expected)
            raise InvalidInputError(f"{path}: {problem}")
    start_steps = np.arange(len(table), dtype=np.float64)
    return Dataset.from_windows(
        series_ids=np.zeros(len(table), dtype=np.intp),
        ts=(start_steps[:, None] + np.arange(steps)) * sample_period,  # (window, step)
        windows=flat.reshape(-1, steps, len(names)),
        faulty=labels == FAULTY_LABEL,
        kinds=np.full(len(table), "", dtype=str),
    )


def _load(path: Path) -> pd.DataFrame:
    try:
        check_file(path, _MAX_BYTES)
        # Read as text, so that an error message can quote the cell.
        return pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, compression=None)
    except OSError as error:
        raise InvalidInputError(f"{path}: can't be read: {error.strerror or error}") from error
    except ValueError as error:  # pandas' errors for damaged files derive from it
        raise InvalidInputError(f"{path}: is not readable as CSV: {str(error).splitlines()[0]}") from error
