import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from monitor import bundle
from monitor.config.settings import AlertSettings, StoreSettings, WindowSettings
from monitor.core.errors import ConfigurationError, InUseError
from monitor.groups.state import GroupStates
from monitor.publish.own_messages import OwnMessages
from monitor.service.settings_to_stages import build_scoring
from monitor.storage.restore import inspect_store, open_store, restore
from monitor.storage.schema import SCHEMA_VERSION
from monitor.storage.store import Store
from tests.support.toy_bundle import NAMES


def _open(path: Path, features: Sequence[str] = NAMES, steps: int = 3) -> Store:
    return open_store(StoreSettings(path=path), features, steps)


def _fill(path: Path, value: bytes = b"state") -> None:
    store = _open(path)
    store.save([("g", value)], store.load_outbox(), 1.0)
    store.close()


def _renamed_stores(folder: Path) -> list[str]:
    """Return the names of the stores that were set aside."""
    return [path.name for path in sorted(folder.iterdir()) if path.name.startswith("s.db.2")]


def test_new_store(tmp_path: Path) -> None:
    """A missing store is created with its folder, and used again the next time."""
    path = tmp_path / "var" / "s.db"
    _fill(path)
    store = _open(path)
    assert list(store.load_groups(9)) == [("g", b"state")]
    store.close()


@pytest.mark.parametrize("length", [0, 100, 4096, 5000, 12000])
def test_truncated(tmp_path: Path, caplog: pytest.LogCaptureFixture, length: int) -> None:
    """A truncated store is never used: it is renamed, an error is logged, and a new store is created."""
    path = tmp_path / "s.db"
    _fill(path, bytes(20_000))
    path.write_bytes(path.read_bytes()[:length])
    store = _open(path)
    assert list(store.load_groups(9)) == []
    store.close()
    if length:  # SQLite itself starts with an empty file, so there is nothing to keep
        (renamed,) = _renamed_stores(tmp_path)
        assert (tmp_path / renamed).stat().st_size == length
        assert f"STORE SET ASIDE: store.path {path} is damaged" in caplog.text
        assert renamed in caplog.text


@pytest.mark.parametrize("header", [bytes(16), b"SQLite format 3\0"])
def test_no_database(tmp_path: Path, header: bytes) -> None:
    """A file that may have been a store is also renamed; a second such file does not replace the first."""
    for _ in range(2):
        (tmp_path / "s.db").write_bytes(header + b"something else altogether, longer than a header" * 9)
        _open(tmp_path / "s.db").close()
    assert len(_renamed_stores(tmp_path)) == 2


@pytest.mark.parametrize("kind", ["text", "database"])
def test_foreign_file(tmp_path: Path, kind: str) -> None:
    """A file that never was a store is rejected and left unchanged: the path is probably mistyped."""
    path = tmp_path / "s.db"
    if kind == "text":
        path.write_text("# sensor-monitor")
    else:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE dashboards (name TEXT)")
    content = path.read_bytes()
    for open_function in (open_store, inspect_store):
        with pytest.raises(ConfigurationError, match="is no store of a monitor; expected one, or a new name"):
            open_function(StoreSettings(path=path), NAMES, 3)
    assert (path.read_bytes(), [file.name for file in tmp_path.iterdir()]) == (content, ["s.db"])


@pytest.mark.parametrize(
    ("features", "steps", "message"),
    [
        (NAMES[::-1], 3, "holds windows of 3 x (temperature_1, humidity_1"),
        (NAMES, 4, "and the bundle's are 4 x"),
    ],
)
def test_other_shape(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, features: Sequence[str], steps: int, message: str
) -> None:
    """A store with windows of another shape is set aside: the bundle cannot judge them."""
    _fill(tmp_path / "s.db")
    store = _open(tmp_path / "s.db", features, steps)
    assert (list(store.load_groups(9)), store.shape) == ([], (list(features), steps))
    store.close()
    assert len(_renamed_stores(tmp_path)) == 1
    assert message in caplog.text


def test_newer_version(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store with a newer schema version is set aside unchanged."""
    _fill(tmp_path / "s.db")
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    _open(tmp_path / "s.db").close()
    assert (
        f"has schema version {SCHEMA_VERSION + 1}, and this monitor writes version {SCHEMA_VERSION}"
        in caplog.text
    )
    with sqlite3.connect(tmp_path / _renamed_stores(tmp_path)[0]) as database:
        assert database.execute("SELECT name FROM groups").fetchall() == [("g",)]
    database.close()


def test_damaged_group(tmp_path: Path, toy_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If a group's state can't be read, the whole store may be damaged: it is set aside."""
    _fill(tmp_path / "s.db", b"nonsense")
    groups = GroupStates(build_scoring(bundle.load(toy_bundle), WindowSettings(), AlertSettings()), 60.0)
    store = restore(
        StoreSettings(path=tmp_path / "s.db"),
        groups,
        NAMES,
        3,
        is_own_message=OwnMessages("homeassistant").include,
        max_groups=9,
        now=0.0,
    )
    assert (store.count_groups(), len(groups)) == (0, 0)
    store.close()
    assert "state of 'g' can't be read" in caplog.text


def test_in_use(tmp_path: Path) -> None:
    """A store that another process has open is neither used nor set aside."""
    store = _open(tmp_path / "s.db")
    with pytest.raises(InUseError, match="is in use by another process; expected a file of its own"):
        _open(tmp_path / "s.db")
    store.close()
    assert _renamed_stores(tmp_path) == []


def test_invalid_path(tmp_path: Path) -> None:
    """A path that is a folder, or lies below a file, is refused."""
    with pytest.raises(ConfigurationError, match="is no file"):
        _open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="expected a folder"):
        _open(tmp_path / "file" / "s.db")
