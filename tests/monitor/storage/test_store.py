import sqlite3
from pathlib import Path

import pytest

from monitor.core.messages import OutboundMessage
from monitor.storage.outbox import Outbox
from monitor.storage.schema import SCHEMA_VERSION
from monitor.storage.store import Store

FEATURES, STEPS = ["a", "b"], 3


def _open(path: Path, sync: str = "normal") -> Store:
    store = Store(path, sync)  # type: ignore[arg-type]
    if store.is_new:
        store.create(FEATURES, STEPS)
    return store


def _alert(text: str) -> OutboundMessage:
    return OutboundMessage("alerts/g", text.encode(), retain=False)


def _send_all(outbox: Outbox) -> list[bytes]:
    """Mark all queued messages as published; return their payloads."""
    sent = []
    while message := outbox.first():
        sent.append(message.payload)
        outbox.mark_sent(object())
    return sent


@pytest.mark.parametrize("sync", ["normal", "full"])
def test_restart(tmp_path: Path, sync: str) -> None:
    """The next process reads the saved data: groups, messages in order, filters, shape."""
    store = _open(tmp_path / "s.db", sync)
    outbox = store.load_outbox()
    outbox.add([_alert("1"), OutboundMessage("state/g", b"2", retain=True)])
    store.save([("g", b"state"), ("h", b"\0")], outbox, now=1.0)
    store.add_filters(["p/+", "q/#", "p/+"])
    store.close()
    store = _open(tmp_path / "s.db", sync)
    assert dict(store.load_groups(10)) == {"g": b"state", "h": b"\0"}
    assert _send_all(store.load_outbox()) == [b"1", b"2"]
    assert sorted(store.load_filters()) == ["p/+", "q/#"]
    assert (store.schema_version, store.shape, store.find_damage()) == (
        SCHEMA_VERSION,
        (FEATURES, STEPS),
        "",
    )
    store.close()


def test_outbox_across_commits(tmp_path: Path) -> None:
    """A message is deleted from the store once it is confirmed or replaced, also if it was never saved."""
    store = _open(tmp_path / "s.db")
    outbox = store.load_outbox()
    outbox.add([_alert("1"), _alert("2"), OutboundMessage("state/g", b"old", retain=True)])
    store.save([], outbox, 1.0)
    outbox.mark_sent("first")
    outbox.mark_confirmed("first")
    outbox.add([OutboundMessage("state/g", b"new", retain=True), _alert("3")])
    outbox.mark_sent("second")
    store.save([], outbox, 2.0)
    assert _send_all(store.load_outbox()) == [b"2", b"new", b"3"]
    outbox.mark_confirmed("second")
    outbox.add([_alert("4")])
    while outbox.first():
        outbox.mark_sent("last")
        outbox.mark_confirmed("last")
    store.save([], outbox, 3.0)
    assert len(store.load_outbox()) == 0
    store.close()


def test_state_in_flight(tmp_path: Path) -> None:
    """If a process ends with a state in flight and a newer state queued, only the newer is published."""
    store = _open(tmp_path / "s.db")
    outbox = store.load_outbox()
    outbox.add([OutboundMessage("state/g", b"old", retain=True)])
    outbox.mark_sent("unconfirmed")
    outbox.add([OutboundMessage("state/g", b"new", retain=True)])
    store.save([], outbox, 1.0)
    outbox = store.load_outbox()
    assert _send_all(outbox) == [b"new"]
    store.save([], outbox, 2.0)
    assert _send_all(store.load_outbox()) == [b"new"]
    store.close()


def test_all_or_nothing(tmp_path: Path) -> None:
    """A save that fails halfway changes nothing, and the next save writes everything."""
    store = _open(tmp_path / "s.db")
    outbox = store.load_outbox()
    store.save([("g", b"old")], outbox, 1.0)
    outbox.add([_alert("1")])
    broken: list[tuple[str, bytes]] = [("g", b"new"), ("h", None)]  # type: ignore[list-item]
    with pytest.raises(sqlite3.IntegrityError):
        store.save(broken, outbox, 2.0)
    assert list(store.load_groups(10)) == [("g", b"old")]
    assert len(store.load_outbox()) == 0
    store.save([("g", b"new")], outbox, 3.0)
    assert list(store.load_groups(10)) == [("g", b"new")]
    assert _send_all(store.load_outbox()) == [b"1"]
    store.close()


def test_incidents(tmp_path: Path) -> None:
    """Each group's last closed incident is kept, also for the next process."""
    store = _open(tmp_path / "s.db")
    outbox = store.load_outbox()
    store.save([], outbox, 1.0, incidents=[("g", b"1"), ("h", b"2")])
    store.save([], outbox, 2.0, incidents=[("g", b"3")])
    store.close()
    store = _open(tmp_path / "s.db")
    assert [store.fetch_incident(name) for name in "ghi"] == [b"3", b"2", None]
    store.close()
    with pytest.raises(ValueError, match=r"latest incident of 'g' can't be read: .*closed"):
        store.fetch_incident("g")


def test_least_recent_groups(tmp_path: Path) -> None:
    """Groups are loaded in the order of saving; the least recent are trimmed first, with their incidents."""
    store = _open(tmp_path / "s.db")
    outbox = store.load_outbox()
    for now, name in enumerate("cabd"):
        store.save([(name, name.encode())], outbox, float(now), incidents=[(name, b"over")])
    store.save([("c", b"again")], outbox, 9.0)
    assert [name for name, _ in store.load_groups(10)] == ["a", "b", "d", "c"]
    assert [name for name, _ in store.load_groups(2)] == ["d", "c"]
    assert store.trim_groups(3) == 1
    assert store.trim_groups(3) == 0
    assert store.fetch_groups(["a", "b", "c"]) == {"b": b"b", "c": b"again"}
    assert store.count_groups() == 3
    assert [store.fetch_incident(name) for name in "abcd"] == [None, b"over", b"over", b"over"]
    store.close()


def test_many_names(tmp_path: Path) -> None:
    """More groups than one statement allows are fetched."""
    store = _open(tmp_path / "s.db")
    names = [str(number) for number in range(2500)]
    store.save([(name, name.encode()) for name in names], store.load_outbox(), 1.0)
    assert store.fetch_groups([*names, "unknown"]) == {name: name.encode() for name in names}
    store.close()


def test_exclusive_lock(tmp_path: Path) -> None:
    """A second process is refused, and may open the store once the first has closed it."""
    store = _open(tmp_path / "s.db")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Store(tmp_path / "s.db")
    store.close()
    _open(tmp_path / "s.db").close()


def test_groups_of_a_wrong_clock(tmp_path: Path) -> None:
    """Groups that were saved while the clock was a year ahead are the first to be left out and deleted."""
    store = _open(tmp_path / "s.db")
    for name, heard in (("ahead", 3e7), ("old", 1.0), ("new", 2.0)):
        store.save([(name, b"")], store.load_outbox(), heard)
    assert [name for name, _ in store.load_groups(2, now=10.0)] == ["old", "new"]
    assert store.trim_groups(2, now=10.0) == 1
    assert sorted(store.fetch_groups(["ahead", "old", "new"])) == ["new", "old"]
    store.close()
