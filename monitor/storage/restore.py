"""Opens the store at startup and restores groups from it; renames a store that can't be used."""

import errno
import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from monitor.config.settings import StoreSettings
from monitor.core.errors import ConfigurationError, InUseError, OperationError
from monitor.groups.state import GroupStates
from monitor.storage.store import SCHEMA_VERSION, Store, is_foreign

__all__ = ["inspect_store", "open_store", "restore"]

_log = logging.getLogger(__name__)

_DAMAGED_ERRORS = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}
_IN_USE_ERRORS = {"SQLITE_BUSY", "SQLITE_LOCKED"}
# Errors after which the disk may work again later.
_TRANSIENT_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


def restore(
    settings: StoreSettings,
    groups: GroupStates,
    features: Sequence[str],
    steps: int,
    *,
    max_groups: int,
    now: float,
) -> Store:
    """Open the store and load the groups that an earlier process saved.

    Parameters
    ----------
    settings, features, steps : as for `open_store`.
    groups : the object that receives the restored state.
    max_groups : maximum number of groups to load; the most recently saved groups are loaded.
    now : time at which the restored groups count as last seen, monotonic seconds.

    Raises
    ------
    ConfigurationError, InUseError, OperationError : as in `open_store`.
    """
    store = open_store(settings, features, steps)
    rows = store.load_groups(max_groups, time.time())
    try:
        for group, value in rows:
            groups.load(group, value, now)
    except ValueError as error:
        store.close()
        groups.evict(groups.groups_over_limit(0))
        _rename_unusable(settings.path, f"is damaged ({error})")
        store, rows = open_store(settings, features, steps), []
    groups.has_evicted = store.count_groups() > len(rows)
    return store


def open_store(settings: StoreSettings, features: Sequence[str], steps: int) -> Store:
    """Open the store; create a new one if there is none, or if the existing one is unusable.

    Parameters
    ----------
    settings : path and sync mode.
    features, steps : the shape of the bundle's windows.

    Raises
    ------
    ConfigurationError : the path can't be used.
    InUseError : another process has the store open.
    OperationError : the disk is full or fails; a later attempt may succeed.
    """
    path = settings.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _path_error(path.parent, error, "a folder") from error
    reason = _unusable_reason(settings, features, steps) if _file_exists(path) else ""
    if reason:
        _rename_unusable(path, reason)
    try:
        store = Store(path, settings.sync)
    except sqlite3.Error as error:
        raise _to_monitor_error(path, error) from error
    try:
        if store.is_new:
            store.create(features, steps)
        store.add_missing_parts()
    except sqlite3.Error as error:
        store.close()
        raise _to_monitor_error(path, error) from error
    return store


def inspect_store(settings: StoreSettings, features: Sequence[str], steps: int) -> str:
    """Return a text for users that tells what `open_store` would do, without changing anything.

    Raises
    ------
    ConfigurationError, InUseError, OperationError : as `open_store`.
    """
    path = settings.path
    if not _file_exists(path):
        folder = next(parent for parent in path.resolve().parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise ConfigurationError(f"store.path: {folder} can't be written; expected a folder that can")
        return "ok: will be made"
    reason = _unusable_reason(settings, features, steps)
    return f"will be set aside: it {reason}" if reason else "ok"


def _rename_unusable(path: Path, reason: str) -> None:
    """Rename an unusable store, and log the new name; a store is never deleted."""
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 0
    while (new_path := path.with_name(f"{path.name}.{timestamp}{f'-{number}' if number else ''}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        try:
            if file.exists():
                file.rename(new_path.with_name(new_path.name + suffix))
        except OSError as error:
            raise _path_error(path, error, f"permission to rename it, for it {reason}") from error
    _log.error(
        "STORE SET ASIDE: store.path %s %s. It is kept as %s; its windows, open incidents, mutes and unsent "
        "alerts are not used, and all groups begin afresh",
        path,
        reason,
        new_path.name,
    )


def _unusable_reason(settings: StoreSettings, features: Sequence[str], steps: int) -> str:
    """Return why the existing store is unusable; "" if it is usable."""
    _reject_foreign_file(settings.path)
    try:
        with closing(Store(settings.path, settings.sync)) as store:
            if store.integrity_error:
                return f"is damaged ({store.integrity_error})"
            if store.is_new:
                return ""
            if store.schema_version != SCHEMA_VERSION:
                version = store.schema_version
                return f"has schema version {version}, and this monitor writes version {SCHEMA_VERSION}"
            stored_features, stored_steps = store.shape
            if (stored_features, stored_steps) != (list(features), steps):
                return (
                    f"holds windows of {stored_steps} x ({', '.join(stored_features)}), and the bundle's are "
                    f"{steps} x ({', '.join(features)})"
                )
            return ""
    except sqlite3.Error as error:
        if _error_name(error) not in _DAMAGED_ERRORS:
            raise _to_monitor_error(settings.path, error) from error
        return f"is damaged ({error})"


def _reject_foreign_file(path: Path) -> None:
    """Raise an error for a file that is not a store: a mistyped path must not rename another file."""
    with suppress(OSError):  # SQLite will fail as well, with a better message
        if is_foreign(path):
            raise ConfigurationError(
                f"store.path: {path} is no store of a monitor; expected one, or a new name"
            )


def _error_name(error: sqlite3.Error) -> str:
    # The name of an extended error code begins with that of its primary code: SQLITE_IOERR_WRITE.
    extended_name = getattr(error, "sqlite_errorname", "")
    return "_".join(extended_name.split("_")[:2])


def _to_monitor_error(path: Path, error: sqlite3.Error) -> ConfigurationError | OperationError:
    if _error_name(error) in _IN_USE_ERRORS:
        return InUseError(
            f"store.path: {path} is in use by another process; expected a file of its own for each monitor"
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return ConfigurationError(f"store.path: {path} can't be written; expected permission to")
    if path.is_symlink() and not path.exists():
        return ConfigurationError(f"store.path: {path} leads to {path.readlink()}; expected a file there")
    return OperationError(f"store.path: {path}: {error}")


def _file_exists(path: Path) -> bool:
    """Return whether the file exists.

    Raises
    ------
    ConfigurationError : the path is not a file, or can't be reached.
    OperationError : the disk fails; a later attempt may succeed.
    """
    try:
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"store.path: {path} is no file; expected one, or a name for it")
        return path.exists()
    except OSError as error:
        raise _path_error(path, error, "a file that can be reached") from error


def _path_error(path: Path, error: OSError, expected: str) -> ConfigurationError | OperationError:
    text = f"store.path: {path}: {error.strerror}; expected {expected}"
    return OperationError(text) if error.errno in _TRANSIENT_ERRNOS else ConfigurationError(text)
