"""Writes files and folders atomically: under a temporary name in the same folder, which is then renamed.

If the process is killed during the write, the old content stays, and the temporary file or folder remains: a
hidden name that ends in `.part`.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["atomic_file", "atomic_folder", "sync_to_disk"]


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to `path` when the block ends without an exception.

    If `path` is a symbolic link, the file that it points to is replaced. A device or a pipe can't be
    replaced, so `path` itself is yielded. Missing parent folders are created.

    Raises
    ------
    OSError : the temporary file can't be created, synced to the disk or renamed; it is deleted, and the old
        file is unchanged.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that nobody can foresee, and exclusively: in a folder that others can write to, such as /tmp, a
    # link that waits under the name would lead to any of the user's files.
    temporary_path = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    os.close(os.open(temporary_path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o666))
    try:
        yield temporary_path
        sync_to_disk(temporary_path)
        temporary_path.replace(path)
    finally:
        with suppress(OSError):  # after the rename it no longer exists
            temporary_path.unlink()


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder, which is renamed to `folder` when the block ends without an exception.

    A folder can't be renamed to the name of an existing folder, so the old folder is renamed first and
    deleted last. If the process is killed between the two renames, the old folder remains complete under a
    hidden name.

    Raises
    ------
    OSError : the temporary folder can't be synced to the disk or renamed; it is deleted, and the old folder
        is unchanged.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary_path = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        yield temporary_path
        for path in temporary_path.rglob("*"):
            if path.is_file():
                sync_to_disk(path)
        temporary_path.chmod(0o755)  # mkdtemp gives access only to the owner
        _replace_folder(temporary_path, folder)
    finally:
        shutil.rmtree(temporary_path, ignore_errors=True)


def _replace_folder(temporary_path: Path, folder: Path) -> None:
    if not folder.exists():
        temporary_path.rename(folder)
        return
    old_parent = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    old = old_parent / folder.name
    try:
        folder.rename(old)
        temporary_path.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    finally:
        if folder.exists():
            shutil.rmtree(old_parent)


def sync_to_disk(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk.

    Otherwise a rename may reach the disk before the file's content, and a power cut would leave an empty
    file.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
