"""Writes files and folders that are there whole or not at all: written beside the path, then renamed.

A process that is killed while it writes leaves the path as it was, and its draft beside it: a hidden name
that ends in `.part`.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["atomic_file", "atomic_folder", "sync_to_disk"]


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield the path of a draft, which takes the file's name when the block ends without an exception.

    A symbolic link stays one, and the file that it points to is replaced. A device or a pipe can't be
    replaced: the path itself is yielded. Missing parent folders are made.

    Raises
    ------
    OSError : the draft can't be synced to the disk or renamed; no draft is left, and the file is as it was.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        sync_to_disk(draft)
        draft.replace(path)
    finally:
        with suppress(OSError):  # after the rename there is none
            draft.unlink()


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty draft folder, which takes the folder's name when the block ends without an exception.

    A folder can't be renamed onto another: the old one is moved aside first and deleted last. A process that
    is killed between the two renames leaves the old folder beside the path, whole.

    Raises
    ------
    OSError : the draft can't be synced to the disk or renamed; no draft is left, and the folder is as it was.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        yield draft
        for path in draft.rglob("*"):
            if path.is_file():
                sync_to_disk(path)
        draft.chmod(0o755)  # mkdtemp lets only the owner in
        _replace_folder(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace_folder(draft: Path, folder: Path) -> None:
    if not folder.exists():
        draft.rename(folder)
        return
    old_parent = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    old = old_parent / folder.name
    try:
        folder.rename(old)
        draft.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    finally:
        if folder.exists():
            shutil.rmtree(old_parent)


def sync_to_disk(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk.

    Without it a rename may reach the disk before the file's content, and a power cut leaves an empty file.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
