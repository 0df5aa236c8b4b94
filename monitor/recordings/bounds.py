"""Bounds on what a file from elsewhere may unpack to, and the errors that name them."""

import stat
from pathlib import Path

from monitor.core.errors import RecordingError

__all__ = [
    "MAX_BLOCK_CELLS",
    "MAX_BLOCK_TEXT",
    "MAX_CELLS",
    "MAX_CELLS_AT_ONCE",
    "MAX_COLUMNS",
    "MAX_MEMORY",
    "MAX_ROW_TEXT",
    "MAX_UNPACKED",
    "check_cells",
    "check_columns",
    "check_file",
]

MAX_COLUMNS = 10_000
MAX_ROW_TEXT = 1 << 18
"""Characters of a row. A row with 1,000 features has 20,000."""
MAX_BLOCK_CELLS = 1 << 20
"""Cells that are unpacked at once: 100 MB of Python objects at most. Blocks of wide rows have fewer rows."""
MAX_BLOCK_TEXT = 1 << 26
"""Characters that are unpacked at once."""
MAX_CELLS = 1 << 30
"""Cells of a file that is read in blocks: half a year of 10 groups of 4 features, every second."""
MAX_CELLS_AT_ONCE = 1 << 28
"""Cells of a file that is read as a whole, as training does: some 20 GB of Python objects."""
MAX_UNPACKED = 1 << 36
"""Bytes that a Parquet file says it unpacks to."""
MAX_MEMORY = 2 << 30
"""Bytes of memory that unpacking a part of a Parquet file may take."""
_GIB = 1 << 30


def check_file(path: Path, max_bytes: int | None = None) -> None:
    """Check that a path is a regular file, so that reading it ends.

    Parameters
    ----------
    max_bytes : size that it may have; None: any, for it is read in blocks.

    Raises
    ------
    OSError : it can't be looked at.
    RecordingError : it is none, or larger.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        return  # to open it gives the usual error
    if not stat.S_ISREG(status.st_mode):
        raise RecordingError(f"{path}: is a pipe or a device, expected a file")
    if max_bytes is not None and status.st_size > max_bytes:
        raise RecordingError(
            f"{path}: has {status.st_size / _GIB:.1f} GiB, expected at most {max_bytes / _GIB:g} GiB"
        )


def check_columns(path: Path, count: int) -> None:
    """Check the number of columns.

    Raises
    ------
    RecordingError : there are too many.
    """
    if count > MAX_COLUMNS:
        raise RecordingError(f"{path}: has {count:,} columns, expected at most {MAX_COLUMNS:,}")


def check_cells(path: Path, count: int, limit: int = MAX_CELLS) -> None:
    """Check the number of cells, all rows together.

    Raises
    ------
    RecordingError : there are too many.
    """
    if count > limit:
        raise RecordingError(
            f"{path}: unpacks to more than {limit:,} cells, expected at most that many in a file; split it"
        )
