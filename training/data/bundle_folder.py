"""Checks that a folder may be overwritten by a bundle."""

from pathlib import Path

from monitor.core.errors import InvalidInputError

__all__ = ["beside", "check"]


def check(folder: Path) -> None:
    """Raise an error if the folder holds anything other than a bundle, because saving deletes its content.

    Raises
    ------
    InvalidInputError : the path exists and is neither an empty folder nor a bundle.
    """
    if folder.exists() and not (folder / "manifest.json").exists() and not _is_empty_folder(folder):
        raise InvalidInputError(
            f"{folder}: is no bundle; expected a new or empty folder, or a bundle to replace"
        )


def beside(folder: Path) -> Path:
    """Return the folder for a bundle that is not better than the one that the monitor uses now."""
    return Path(f"{folder}-not-better")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
