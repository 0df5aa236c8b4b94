"""Checks the folder that a bundle is written to."""

from pathlib import Path

from monitor.core.errors import InvalidInputError

__all__ = ["check"]


def check(folder: Path) -> None:
    """Refuse a folder with anything but a bundle in it, since saving deletes the old content.

    Raises
    ------
    InvalidInputError : the folder is neither new, empty nor a bundle.
    """
    if folder.exists() and not (folder / "manifest.json").exists() and not _is_empty_folder(folder):
        raise InvalidInputError(
            f"{folder}: is no bundle; expected a new or empty folder, or a bundle to replace"
        )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
