from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from monitor.config.settings import Mqtt
from monitor.core.messages import Outgoing, Taken
from monitor.groups.incidents import Incidents
from monitor.groups.mutes import Mutes
from monitor.mqtt import Session
from monitor.mqtt.receive_queue import Inbox
from monitor.service.gateway import Edge
from monitor.storage.store import Store
from monitor.telemetry.metrics import Metrics
from tests.conftest import Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import Ear, ready, session
from tests.monitor.service.pipeline_fixture import taken
from tests.support.toy_bundle import NAMES, STEPS, toy_manifest

GROUPS = [f"line1/{number:05}" for number in range(10_000)]


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with its tables."""
    opened = Store(tmp_path / "state.db")
    opened.create(NAMES, STEPS)
    yield opened
    opened.close()


class Waits(Inbox):
    """An inbox where nothing comes, and that writes down how long it was to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.timeouts: list[float] = []

    def take(self, timeout: float) -> Taken:
        self.timeouts.append(timeout)
        return taken([])


def edge(
    store: Store,
    clock: Clock,
    *,
    acknowledges: bool,
    session: Session | None = None,
    inbox: Inbox | None = None,
    mutes: Mutes | None = None,
    incidents: Incidents | None = None,
) -> Edge:
    """Return an edge, whose session never connects unless it is given one."""
    session = session or Session(Mqtt(), "edge-under-test", None, Ear())
    inbox = Inbox() if inbox is None else inbox
    return Edge(
        inbox, session, session, store, lambda name: name.encode(), mutes or Mutes(),
        incidents or Incidents(), "sensor-monitor", Metrics(CollectorRegistry(), toy_manifest()),
        most_groups=len(GROUPS), acknowledges=acknowledges, monotonic=clock,
    )  # fmt: skip


def test_what_is_acknowledged_is_written_at_once(store: Store) -> None:
    """With QoS 1 each batch is written whole before it is acknowledged."""
    assert edge(store, Clock(), acknowledges=True).commit(GROUPS, [])
    assert store.count() == len(GROUPS)


def test_what_is_not_acknowledged_is_written_bit_by_bit(store: Store) -> None:
    """With QoS 0 no commit is long, and in time each changed group is written."""
    clock = Clock()
    own = edge(store, clock, acknowledges=False)
    counts = []
    for groups in (GROUPS, [], []):
        assert own.commit(groups, []) == (store.count() == len(GROUPS))
        counts.append(store.count())
        clock.now += 0.001
    assert counts == [4096, 8192, 10_000]


def test_a_pause_between_two_rounds(store: Store) -> None:
    """With QoS 0 a group that changes all the time is written once a second."""
    clock = Clock()
    own = edge(store, clock, acknowledges=False)
    assert own.commit(GROUPS[:1], [])
    clock.now += 0.5
    assert not own.commit(GROUPS[1:2], [])
    clock.now += 0.5
    assert own.commit(GROUPS[2:3], [])
    assert store.count() == 3


def test_what_is_asked_for_is_written_now(store: Store) -> None:
    """What somebody waits for is written between two portions of what changed."""
    clock = Clock()
    mutes = store.mutes()
    own = edge(store, clock, acknowledges=False, mutes=mutes)
    assert not own.commit(GROUPS, [])
    mutes.mute("line1/*", 2000.0)
    assert own.secure([GROUPS[-1], "unchanged"])
    assert (store.count(), store.fetch(GROUPS[-1:])) == (4097, {GROUPS[-1]: GROUPS[-1].encode()})
    assert store.mutes().lines() == [("line1/*", 2000.0)]
    assert not own.commit([], []), "there is more"


def test_incident_that_is_over(store: Store) -> None:
    """It is written with its group, as whose open incident it would come back otherwise, and let go of."""
    incidents = Incidents()
    first, last = GROUPS[0], GROUPS[-1]
    own = edge(store, Clock(), acknowledges=False, incidents=incidents)
    incidents.past.update({first: b"over", last: b"over"})
    assert not own.commit(GROUPS, [])
    assert [store.incident(first), store.incident(last)] == [b"over", None]
    assert incidents.past.keys() == {last}
    assert own.flush()
    assert (store.incident(last), incidents.past) == (b"over", {})


def test_rounds_wait_for_nobody(store: Store) -> None:
    """Whoever asks again and again doesn't keep all others from being written."""
    clock = Clock()
    own = edge(store, clock, acknowledges=False)
    assert own.commit(GROUPS[:1], [])
    clock.now += 0.9
    assert not own.commit(GROUPS[1:3], [])
    assert own.secure(GROUPS[1:2])
    clock.now += 0.1
    assert own.commit(GROUPS[3:4], [])
    assert store.count() == 4


def test_what_is_asked_for_while_the_disk_is_full(store: Store) -> None:
    """Where nothing can be written nothing is permanent, until it can."""
    incidents = Incidents()
    own = edge(store, Clock(), acknowledges=False, incidents=incidents)
    incidents.past[GROUPS[-1]] = b"over"
    store._ask("PRAGMA max_page_count = 20")  # noqa: SLF001, as if there were no more room
    assert not own.secure(GROUPS[:1]) or not own.commit(GROUPS, [])
    assert own.problem
    assert not own.secure(GROUPS[:1])
    store._ask("PRAGMA max_page_count = 10000")  # noqa: SLF001
    assert own.flush()
    assert (store.count(), store.incident(GROUPS[-1])) == (len(GROUPS), b"over")


def test_the_end_writes_what_is_left(store: Store) -> None:
    """A stop writes all that changed, with QoS 0 too."""
    own = edge(store, Clock(), acknowledges=False)
    assert not own.commit(GROUPS, [])
    assert own.flush()
    assert store.count() == len(GROUPS)


def test_what_waits_needs_no_reading(store: Store, mosquitto: Mosquitto) -> None:
    """While messages wait to be published nothing else is waited for long."""
    messages = [Outgoing(f"alerts/{number}", b"", retain=False) for number in range(3000)]
    inbox = Waits()
    unconnected = edge(store, Clock(), acknowledges=True, inbox=inbox)
    unconnected.commit([], messages)
    unconnected.take(60.0)  # waiting is all that it can do
    with session(mosquitto.port, Ear()) as outgoing:
        ready(outgoing)
        own = edge(store, Clock(), acknowledges=True, session=outgoing, inbox=inbox)
        while own.waiting > 1000:  # that many may be under way at a time
            own.take(60.0)
            own.emit(iter(()))
        wait_until(lambda: own.emit(iter(())), "the rest is confirmed")
        own.take(60.0)
    first, *others, last = inbox.timeouts
    assert first == last == 60.0
    assert max(others) < 0.1


def test_readings_go_before_states(store: Store, mosquitto: Mosquitto) -> None:
    """While readings wait few states are published, and all alerts; the other states follow."""
    alerts = [Outgoing(f"alerts/{number}", b"", retain=False) for number in range(300)]
    states = iter([Outgoing(f"state/{number}", b"", retain=True) for number in range(300)])
    inbox = Inbox()
    with session(mosquitto.port, Ear()) as outgoing:
        ready(outgoing)
        own = edge(store, Clock(), acknowledges=True, session=outgoing, inbox=inbox)
        inbox.put([("p/g", b"", None, False)])
        own.commit([], alerts)
        assert not own.emit(states)
        wait_until(lambda: own.waiting == 0 or own.emit(iter(())), "the alerts are confirmed")
        own.emit(states)
        left = list(states)
        assert 300 - len(left) <= 2 * 50
        inbox.take(0)
        states = iter(left)
        own.emit(states)
        assert next(states, None) is None
