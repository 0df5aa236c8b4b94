"""Stores that somebody damaged or made: patched files, and well-formed ones with any values in them."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from monitor import bundle
from monitor.config.settings import AlertSettings, StoreSettings, WindowSettings
from monitor.core.errors import ConfigurationError, OperationError
from monitor.groups.state import GroupStates
from monitor.publish.own_messages import OwnMessages
from monitor.service.settings_to_stages import build_scoring
from monitor.storage.restore import open_store, restore
from monitor.storage.store import Store
from tests.chaos.fuzzing.target import FuzzTarget, check_readable
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES, save_toy_bundle

__all__ = ["Target"]

_STEPS = 3
_PATCH_HEADER_BYTES = 3
# What the first byte of an input says that the rest is.
_WHOLE_FILE, _PATCHES, _VALUE = range(3)
_VALUES = (
    ("groups", "value"),
    ("groups", "name"),
    ("groups", "heard"),
    ("incidents", "value"),
    ("outbox", "topic"),
    ("outbox", "payload"),
    ("mutes", "pattern"),
    ("mutes", "until"),
    ("births", "value"),
    ("shape", "features"),
    ("shape", "steps"),
    ("filters", "filter"),
)
"""Table and column of what an input may replace."""


class Target(FuzzTarget):
    """A start with one store."""

    max_input_bytes = 4096
    tokens = ("CREATE TABLE", "CREATE VIEW", "groups", "SQLite format 3", "shape", "1e999", "WITHOUT ROWID")

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "store"
        self._folder.mkdir()
        self._sound = folder / "sound.db"
        save_toy_bundle(folder / "bundle")
        self._bundle = bundle.load(folder / "bundle")
        harness = PipelineHarness(folder / "bundle")
        readings = [
            message(5 * number, values, f"p/{group}")
            for number in range(4)
            for group, values in (("a", HEALTHY), ("b", FAULTY))
        ]
        harness.run((1.0, readings))
        self._states = [(group, harness.groups.dump(group) or b"") for group in ("a", "b")]
        with closing(open_store(StoreSettings(path=self._sound), NAMES, _STEPS)) as store:
            store.save(self._states, store.load_outbox(), NOW, incidents=[("b", b"")], births={"e": b"b"})
            store.add_filters(["plant/#"])
        with closing(sqlite3.connect(self._sound, isolation_level=None)) as database:
            database.execute("INSERT INTO outbox VALUES (1, 'alerts/b', '{}', 0, 'id', 0)")
            database.execute("INSERT INTO mutes VALUES ('a', ?, 60.0)", (NOW,))
        self._size = self._sound.stat().st_size

    def seeds(self) -> Iterator[bytes]:
        """Yield patches, the states of the groups, and values for each column."""
        yield bytes([_PATCHES]) + b"\x10\x00\x02ab" + b"\x80\x00\x04abcd"
        yield bytes([_WHOLE_FILE]) + self._sound.read_bytes()[: self.max_input_bytes - 1]
        for _, state in self._states:
            yield bytes([_VALUE, 0]) + state
        for number in range(len(_VALUES)):
            yield bytes([_VALUE, number]) + b"alerts/b"

    def run(self, data: bytes) -> bool:
        """Start with a store; accepted if its groups are restored."""
        for file in self._folder.iterdir():
            file.unlink()
        path = self._folder / "state.db"
        if not self._tamper(path, data):
            return False
        try:
            restored = self._start(path)
        except (ConfigurationError, OperationError) as error:
            check_readable(error)
            return False
        others = [file.name for file in self._folder.iterdir() if not file.name.startswith("state.db")]
        assert not others, others
        return restored

    def _tamper(self, path: Path, data: bytes) -> bool:
        """Write the store that an input stands for; return whether it stands for one."""
        kind, content = (data[0] % 3 if data else _WHOLE_FILE), data[1:]
        if kind == _WHOLE_FILE:
            path.write_bytes(content)
            return True
        shutil.copyfile(self._sound, path)
        if kind == _PATCHES:
            self._patch(path, content)
            return True
        return bool(content) and _replace_value(path, _VALUES[content[0] % len(_VALUES)], content[1:])

    def _patch(self, path: Path, content: bytes) -> None:
        """Overwrite parts of the file: two bytes say where, in 65,536ths of it, one how many bytes follow."""
        with path.open("r+b") as file:
            while len(content) > _PATCH_HEADER_BYTES:
                position, size = int.from_bytes(content[:2]) * self._size >> 16, content[2]
                file.seek(position)
                file.write(content[_PATCH_HEADER_BYTES : _PATCH_HEADER_BYTES + size])
                content = content[_PATCH_HEADER_BYTES + size :]

    def _start(self, path: Path) -> bool:
        """Do with a store what a start does, and what is written and read afterwards."""
        groups = GroupStates(build_scoring(self._bundle, WindowSettings(), AlertSettings()), 60.0)
        store = restore(
            StoreSettings(path=path),
            groups,
            NAMES,
            _STEPS,
            is_own_message=OwnMessages("homeassistant").include,
            max_groups=1000,
            now=0.0,
        )
        with closing(store):
            _use(store, groups)
        return len(groups) > 0


def _use(store: Store, groups: GroupStates) -> None:
    outbox, mutes = store.load_outbox(), store.load_mutes(wall=NOW, now=0.0)
    store.load_births()
    store.add_filters(store.load_filters())
    mutes.mute("later", 60.0, wall=NOW, now=0.0)
    groups.statuses()
    states = [(name, state) for name in ("a", "b") if (state := groups.dump(name))]
    store.save(states, outbox, NOW, mutes)
    store.fetch_groups(["a"])
    store.trim_groups(1)


def _replace_value(path: Path, column: tuple[str, str], value: bytes) -> bool:
    """Replace one value by bytes, text or a number; return whether SQLite took it."""
    table, name = column
    values: list[object] = [value, value.decode(errors="replace"), len(value) * 1e200, None]
    kind = value[0] % len(values) if value and name not in {"value", "payload"} else 0
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(f"UPDATE {table} SET {name} = ?", (values[kind],))  # noqa: S608
    except (sqlite3.Error, OverflowError):
        return False  # a value that the table doesn't take
    return True
