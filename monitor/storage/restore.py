"""Opens the store at startup and restores groups from it; renames a store that can't be used."""

import errno
import logging
import os
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from monitor.config.settings import StoreSettings
from monitor.core.errors import ConfigurationError, InUseError, OperationError
from monitor.core.private_files import make_private_folder
from monitor.groups.state import GroupStates
from monitor.storage import store_files
from monitor.storage.connection import READ_ERRORS
from monitor.storage.schema import SCHEMA_VERSION
from monitor.storage.store import Store
from monitor.storage.unusable_rows import CountDiscarded, IsOwnMessage, report_unusable_rows

__all__ = ["inspect_store", "open_store", "restore"]

_log = logging.getLogger(__name__)

_MAX_REASON_LENGTH = 1000

_IN_USE_ERRORS = {"SQLITE_BUSY", "SQLITE_LOCKED"}
# Errors of the disk, of permissions or of memory. Any other error in reading a store means damage.
_SYSTEM_ERRORS = _IN_USE_ERRORS | {
    "SQLITE_CANTOPEN",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_NOMEM",
    "SQLITE_PERM",
    "SQLITE_READONLY",
}
# Errors after which the disk may work again later.
_TRANSIENT_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


def restore(
    settings: StoreSettings,
    groups: GroupStates,
    features: Sequence[str],
    steps: int,
    *,
    is_own_message: IsOwnMessage,
    max_groups: int,
    now: float,
    count_discarded: CountDiscarded = lambda _kind, _count: None,
) -> Store:
    """Open the store and load the groups that an earlier process saved.

    Parameters
    ----------
    settings, features, steps : as for `open_store`.
    groups : the object that receives the restored state.
    is_own_message : tells whether a monitor can have stored a message; all others are deleted.
    max_groups : maximum number of groups to load; the most recently saved groups are loaded.
    now : time at which the restored groups count as last seen, monotonic seconds.
    count_discarded : is told what can't be used.

    Raises
    ------
    ConfigurationError, InUseError, OperationError : as in `open_store`.
    """
    store = open_store(settings, features, steps, count_discarded)
    try:
        report_unusable_rows(store.delete_unusable_rows(is_own_message), count_discarded)
        reason = _load(store, groups, max_groups, now, count_discarded)
    except READ_ERRORS as error:
        store.close()
        _raise_system_error(settings.path, error)
        reason = f"is damaged ({error})"
    if reason := _to_printable(reason):
        store.close()
        groups.evict(groups.groups_over_limit(0))
        groups.mark_deleted(list(groups.deleted_groups))
        count_discarded("store", 1)
        _rename_unusable(settings.path, reason)
        store = open_store(settings, features, steps)
        groups.has_evicted = False
    return store


def _load(
    store: Store, groups: GroupStates, max_groups: int, now: float, count_discarded: CountDiscarded
) -> str:
    """Load the groups; return why the store is unusable, "" if it is usable.

    Raises
    ------
    sqlite3.Error : the store can't be read.
    """
    unreadable: dict[str, str] = {}
    loaded_count = 0
    for group, value in store.load_groups(max_groups, time.time()):
        try:
            groups.load(group, value, now)
            loaded_count += 1
        except ValueError as error:
            unreadable[group] = str(error)
    if len(unreadable) > loaded_count:
        return f"is damaged ({next(iter(unreadable.values()))}, and {len(unreadable) - 1} more groups)"
    if unreadable:
        count_discarded("group", len(unreadable))
        groups.delete(unreadable)
        _log.error(
            "the state of %s group(s) in the store can't be read, and they begin afresh; the first: %s",
            len(unreadable),
            next(iter(unreadable.values())),
        )
    groups.has_evicted = store.count_groups() > loaded_count + len(unreadable)
    return ""


def open_store(
    settings: StoreSettings,
    features: Sequence[str],
    steps: int,
    count_discarded: CountDiscarded = lambda _kind, _count: None,
) -> Store:
    """Open the store; create a new one if there is none, or if the existing one is unusable.

    Parameters
    ----------
    settings : path and sync mode.
    features, steps : the shape of the bundle's windows.
    count_discarded : is told if the existing store can't be used.

    Raises
    ------
    ConfigurationError : the path can't be used.
    InUseError : another process has the store open.
    OperationError : the disk is full or fails; a later attempt may succeed.
    """
    path = settings.path
    try:
        make_private_folder(path.parent)
    except OSError as error:
        raise _path_error(path.parent, error, "a folder") from error
    reason = _unusable_reason(settings, features, steps) if _file_exists(path) else ""
    if reason:
        count_discarded("store", 1)
        _rename_unusable(path, reason)
    try:
        store_files.create_file(path)
        store = Store(path, settings.sync)
    except (PermissionError, FileNotFoundError, *READ_ERRORS) as error:
        raise _to_monitor_error(path, error) from error
    except OSError as error:
        raise _path_error(path, error, "permission to write it") from error
    try:
        if store.is_new:
            store.create(features, steps)
        store.trust()
    except READ_ERRORS as error:
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
    try:
        new_path = store_files.rename_aside(path)
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
    return _to_printable(_find_reason(settings, features, steps))


def _find_reason(settings: StoreSettings, features: Sequence[str], steps: int) -> str:
    """Return why the existing store is unusable, with text from the store as it is; "" if it is usable."""
    path = settings.path
    if problem := store_files.find_wrong_companion(path):
        return f"is damaged ({problem})"
    try:
        with closing(Store(path, settings.sync)) as store:
            return "" if store.is_new else _find_mismatch(store, features, steps)
    except READ_ERRORS as error:
        _raise_system_error(path, error)
        return f"is damaged ({error})"


def _find_mismatch(store: Store, features: Sequence[str], steps: int) -> str:
    """Return why a store that isn't new is unusable; "" if it is usable.

    Raises
    ------
    sqlite3.Error : the store can't be read.
    """
    version = store.schema_version
    if version != SCHEMA_VERSION:
        return f"has schema version {version}, and this monitor writes version {SCHEMA_VERSION}"
    if problem := store.find_damage():
        return f"is damaged ({problem})"
    stored_features, stored_steps = store.shape
    if (stored_features, stored_steps) == (list(features), steps):
        return ""
    return (
        f"holds windows of {stored_steps} x ({', '.join(stored_features)}), and the bundle's are "
        f"{steps} x ({', '.join(features)})"
    )


def _to_printable(text: str) -> str:
    """Return a text on one line, without what a terminal would obey: parts of it are from the store."""
    return "".join(character if character.isprintable() else " " for character in text[:_MAX_REASON_LENGTH])


def _reject_foreign_file(path: Path) -> None:
    """Raise an error for a file that is not a store: a mistyped path must not rename another file."""
    with suppress(OSError):  # SQLite will fail as well, with a better message
        if store_files.is_foreign(path):
            raise ConfigurationError(
                f"store.path: {path} is no store of a monitor; expected one, or a new name"
            )


def _raise_system_error(path: Path, error: Exception) -> None:
    """Raise the monitor's error unless SQLite's is about what it read."""
    if _error_name(error) in _SYSTEM_ERRORS:
        raise _to_monitor_error(path, error) from error


def _error_name(error: Exception) -> str:
    # The name of an extended error code begins with that of its primary code: SQLITE_IOERR_WRITE.
    extended_name = getattr(error, "sqlite_errorname", "")
    return "_".join(extended_name.split("_")[:2])


def _to_monitor_error(path: Path, error: Exception) -> ConfigurationError | OperationError:
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
