"""Files and folders that the monitor keeps for itself: made so that only its own user can read them."""

import os
from pathlib import Path

__all__ = ["make_private_folder", "open_private"]


def make_private_folder(folder: Path) -> None:
    """Create a folder that only its owner can enter, unless it exists; its parents get the usual rights.

    An existing folder keeps its rights: somebody may have given them to others on purpose.

    Raises
    ------
    OSError : the folder can't be created.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_private(path: str | Path, flags: int) -> int:
    """Open a file as `os.open` does; a file that is created can be read and written by its owner alone.

    Can be passed to `open` as its `opener`.

    Raises
    ------
    OSError : the file can't be opened.
    """
    return os.open(path, flags, 0o600)
