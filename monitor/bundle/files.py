"""Reads a bundle's files: those that SHA256SUMS names, no links, each once and with its checksum.

A bundle may come from elsewhere, so its folder is opened once and everything is read below it: a folder that
is replaced meanwhile can't mix two bundles, and no name and no link leads out of it.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath

from monitor.core.errors import BundleError
from monitor.core.printable import printable

__all__ = ["NETWORK_FILE", "REPORT_FILE", "REQUIRED_FILES", "SUMS_FILE", "read_file", "read_verified"]

REQUIRED_FILES = ("manifest.json", "model.onnx", "scaler.json", "golden.json")
SUMS_FILE = "SHA256SUMS"
REPORT_FILE = "report/report.html"
NETWORK_FILE = "model.keras"

# Of the largest bundles that training makes, the report has 3 MB and the golden windows 0.1 MB.
_MAX_BYTES = {SUMS_FILE: 1 << 20, "manifest.json": 16 << 20, "scaler.json": 16 << 20, "golden.json": 16 << 20}
_MAX_OTHER_BYTES = 64 << 20
# Files and folders that a bundle may have, named or not.
_MAX_ENTRIES = 1000
_MAX_DEPTH = 8
_DIGEST_LENGTH = 64


class _MissingFileError(BundleError):
    """A file that isn't there."""


def read_verified(folder: Path) -> dict[str, bytes]:
    """Return the content of the files that the monitor needs, after verifying all that SHA256SUMS names.

    `model.keras` and `report/` may be missing even if SHA256SUMS names them; where present they are verified
    like the others.

    Raises
    ------
    BundleError : the folder or a file is missing, unreadable, too large or damaged; a file isn't named in
        SHA256SUMS; or there is a link or anything else in the folder that is no file.
    """
    with _open_folder(folder) as directory:
        sums = _read_sums(directory)
        for name in REQUIRED_FILES:
            if name not in sums:
                raise BundleError(f"{SUMS_FILE}: has no line for {name}, expected one for every file")
        present = _list_files(directory)
        for name in sorted(present - sums.keys()):
            if name == NETWORK_FILE or name.startswith("report/"):
                raise BundleError(
                    f"{SUMS_FILE}: has no line for {printable(name)}, expected one for every file"
                )
        contents = {}
        for name, digest in sums.items():
            if name in REQUIRED_FILES:
                contents[name] = _read_checked(directory, name, digest)
            elif name in present:
                _read_checked(directory, name, digest)
        return contents


def read_file(folder: Path, name: str) -> bytes | None:
    """Return the content of a file that SHA256SUMS names, verified; None if it isn't named or isn't there.

    Raises
    ------
    BundleError : as in `read_verified`.
    """
    with _open_folder(folder) as directory:
        digest = _read_sums(directory).get(name)
        if digest is None:
            return None
        try:
            return _read_checked(directory, name, digest)
        except _MissingFileError:
            return None


@contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    """Yield a descriptor of the folder. The path itself may be a link: who wrote the settings chose it."""
    try:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(
            "there is no such folder; expected one that `sensor-training fit --bundle` wrote"
        ) from None
    except OSError as error:
        raise BundleError(f"can't be opened: {error.strerror}") from error
    try:
        yield directory
    finally:
        os.close(directory)


def _list_files(directory: int) -> set[str]:
    """Return the names of all files below the folder.

    Raises
    ------
    BundleError : something is neither file nor folder, or there is too much of it.
    """
    names = list(islice(_walk(directory), _MAX_ENTRIES + 1))
    if len(names) > _MAX_ENTRIES:
        raise BundleError(f"has more than {_MAX_ENTRIES:,} files, expected those that {SUMS_FILE} names")
    return {name for name in names if not name.endswith("/")}


def _walk(directory: int, parent: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the names of all files and folders below a folder; those of folders end in a slash."""
    if depth > _MAX_DEPTH:
        raise BundleError(f"{printable(parent)}: is {depth} folders deep, expected at most {_MAX_DEPTH}")
    with os.scandir(directory) as entries:
        for entry in entries:
            name = f"{parent}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield f"{name}/"
                with _open_below(directory, entry.name, name, os.O_DIRECTORY) as inner:
                    yield from _walk(inner, f"{name}/", depth + 1)
            elif entry.is_file(follow_symlinks=False):
                yield name
            else:
                raise _not_a_file(name)


def _read_sums(directory: int) -> dict[str, str]:
    return _parse_sums(_read(directory, SUMS_FILE).decode(errors="replace"))


def _parse_sums(text: str) -> dict[str, str]:
    """Return file name -> SHA-256 in hex; a name that leads out of the bundle's folder is an error."""
    sums: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        digest, separator, name = line.partition("  ")
        # A name as `save` writes it: relative, and not the same file by another name.
        path = PurePosixPath(name)
        is_plain = (
            name == str(path)
            and name.isprintable()
            and not (path.is_absolute() or {"..", "."} & {*path.parts})
        )
        if not separator or len(digest) != _DIGEST_LENGTH or not is_plain or name in sums:
            raise BundleError(f"{SUMS_FILE}: line {number} is not '<sha-256>  <file>'")
        sums[name] = digest
    return sums


def _read_checked(directory: int, name: str, expected: str) -> bytes:
    """Return a file's content; raise an error if its checksum isn't the expected one."""
    content = _read(directory, name)
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise BundleError(
            f"{printable(name)}: its SHA-256 is {digest}, expected {printable(expected)} as in {SUMS_FILE}"
        )
    return content


def _read(directory: int, name: str) -> bytes:
    """Return the content of a regular file, through no link.

    Raises
    ------
    BundleError : it is missing, can't be read, is something else, or is too large.
    """
    limit = _MAX_BYTES.get(name, _MAX_OTHER_BYTES)
    with ExitStack() as stack:
        *folders, last = name.split("/")
        for folder in folders:
            directory = stack.enter_context(_open_below(directory, folder, name, os.O_DIRECTORY))
        file = stack.enter_context(_open_below(directory, last, name))
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise _not_a_file(name)
        if status.st_size > limit:
            raise BundleError(f"{printable(name)}: has {status.st_size:,} bytes, expected at most {limit:,}")
        with os.fdopen(file, "rb", closefd=False) as stream:
            return stream.read(status.st_size)


@contextmanager
def _open_below(directory: int, entry: str, name: str, flags: int = 0) -> Iterator[int]:
    """Yield a descriptor of a file or folder in an opened folder.

    Parameters
    ----------
    name : its name in the bundle, for messages.
    flags : further flags of `os.open`.
    """
    # O_NONBLOCK: to open a pipe would wait for who writes into it.
    flags |= os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(entry, flags, dir_fd=directory)
    except FileNotFoundError:
        raise _MissingFileError(f"{printable(name)}: is missing") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _not_a_file(name) from None
        raise BundleError(f"{printable(name)}: can't be read: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _not_a_file(name: str) -> BundleError:
    return BundleError(
        f"{printable(name)}: is a link, or no file; expected files and folders, as training writes them"
    )
