"""Write a command's results into a folder, each file whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

from training.errors import InputError

__all__ = ["prepare", "write"]


def prepare(folder: Path) -> None:
    """Make the folder if it isn't there.

    Raises
    ------
    InputError : something else has that name, or it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: can't be made: {error.strerror}; expected a folder to write to"
        ) from error


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by name; one of the same name is replaced, others are left alone."""
    for name, content in files.items():
        draft = folder / f".{name}.{os.getpid()}"
        try:
            draft.write_bytes(content)
            draft.replace(folder / name)
        finally:
            draft.unlink(missing_ok=True)
