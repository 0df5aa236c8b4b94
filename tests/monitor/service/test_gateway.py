from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from monitor.config.mqtt_settings import MqttSettings
from monitor.core.messages import OutboundMessage
from monitor.groups.mutes import Mutes
from monitor.mqtt import Session
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.service.committer import Committer
from monitor.service.gateway import Gateway
from monitor.service.outbox_publisher import OutboxPublisher
from monitor.storage.store import Store
from monitor.telemetry.metrics import Metrics
from tests.conftest import Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.monitor.service.fake_ports import FakeGroups, FakeSource, RecordingQueue, SessionSink
from tests.support.toy_bundle import NAMES, STEPS, toy_manifest

GROUPS = [f"line1/{number:05}" for number in range(10_000)]


@dataclass
class Clock:
    """A clock that the test sets."""

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


def make_gateway(
    store: Store,
    clock: Clock,
    *,
    acks_enabled: bool,
    session: Session | None = None,
    receive_queue: ReceiveQueue | None = None,
    mutes: Mutes | None = None,
    groups: FakeGroups | None = None,
) -> Gateway:
    """Return a gateway, whose session never connects unless it is given one."""
    session = session or Session(MqttSettings(), "gateway-under-test", RecordingListener())
    receive_queue = ReceiveQueue() if receive_queue is None else receive_queue
    outbox = store.load_outbox()
    metrics = Metrics(CollectorRegistry(), toy_manifest())
    committer = Committer(
        store=store,
        outbox=outbox,
        groups=groups or FakeGroups(),
        mutes=Mutes() if mutes is None else mutes,
        metrics=metrics,
        max_groups=len(GROUPS),
        each_batch=acks_enabled,
        monotonic=clock,
    )
    source = FakeSource(needs_acks=acks_enabled, receive_queue=receive_queue)
    publisher = OutboxPublisher(
        outbox=outbox, sink=SessionSink(session), delivery_seconds=metrics.alert_delivery_seconds
    )
    return Gateway(source=source, committer=committer, publisher=publisher)


def test_commit_with_acks_is_complete(store: Store) -> None:
    """With QoS 1 each batch is stored completely before it is acknowledged."""
    assert make_gateway(store, Clock(), acks_enabled=True).commit(GROUPS, [])
    assert store.count_groups() == len(GROUPS)


def test_commit_without_acks_is_limited(store: Store) -> None:
    """With QoS 0 each commit is short, and after several commits each changed group is stored."""
    clock = Clock()
    gateway = make_gateway(store, clock, acks_enabled=False)
    counts = []
    for groups in (GROUPS, [], []):
        assert gateway.commit(groups, []) == (store.count_groups() == len(GROUPS))
        counts.append(store.count_groups())
        clock.now += 0.001
    assert counts == [4096, 8192, 10_000]


def test_commit_interval(store: Store) -> None:
    """With QoS 0 a group that changes all the time is written once a second."""
    clock = Clock()
    gateway = make_gateway(store, clock, acks_enabled=False)
    assert gateway.commit(GROUPS[:1], [])
    clock.now += 0.5
    assert not gateway.commit(GROUPS[1:2], [])
    clock.now += 0.5
    assert gateway.commit(GROUPS[2:3], [])
    assert store.count_groups() == 3


def test_commit_now(store: Store) -> None:
    """The groups of a request are written between two portions of the changed groups."""
    clock = Clock()
    mutes = store.load_mutes(wall=1000.0, now=0.0)
    gateway = make_gateway(store, clock, acks_enabled=False, mutes=mutes)
    assert not gateway.commit(GROUPS, [])
    mutes.mute("line1/*", 1000.0, wall=1000.0, now=0.0)
    assert gateway.commit_now([GROUPS[-1], "unchanged"])
    assert (store.count_groups(), store.fetch_groups(GROUPS[-1:])) == (
        4097,
        {GROUPS[-1]: GROUPS[-1].encode()},
    )
    assert store.load_mutes(wall=1000.0, now=0.0).entries() == [("line1/*", 2000.0)]
    assert not gateway.commit([], []), "there is more"


def test_ended_incident(store: Store) -> None:
    """A closed incident is stored together with its group, which would otherwise be restored with it open."""
    groups = FakeGroups()
    first, last = GROUPS[0], GROUPS[-1]
    gateway = make_gateway(store, Clock(), acks_enabled=False, groups=groups)
    groups.ended.update({first: b"over", last: b"over"})
    assert not gateway.commit(GROUPS, [])
    assert [store.fetch_incident(first), store.fetch_incident(last)] == [b"over", None]
    assert groups.ended.keys() == {last}
    assert gateway.flush()
    assert (store.fetch_incident(last), groups.ended) == (b"over", {})


def test_commit_now_does_not_delay_others(store: Store) -> None:
    """Frequent requests don't delay the commit of the other groups."""
    clock = Clock()
    gateway = make_gateway(store, clock, acks_enabled=False)
    assert gateway.commit(GROUPS[:1], [])
    clock.now += 0.9
    assert not gateway.commit(GROUPS[1:3], [])
    assert gateway.commit_now(GROUPS[1:2])
    clock.now += 0.1
    assert gateway.commit(GROUPS[3:4], [])
    assert store.count_groups() == 4


def test_commit_now_while_disk_is_full(store: Store) -> None:
    """While the disk is full nothing is stored, not even partly; when there is space again, everything is."""
    groups = FakeGroups()
    gateway = make_gateway(store, Clock(), acks_enabled=False, groups=groups)
    groups.ended[GROUPS[-1]] = b"over"
    assert gateway.commit(GROUPS[:1], [])
    store._execute("PRAGMA max_page_count = 20")  # noqa: SLF001, as if there were no more room
    assert not gateway.commit(GROUPS, []), "it is not due yet"
    assert not gateway.problem
    assert not gateway.commit_now(GROUPS)
    assert "expected room on its disk" in gateway.problem
    assert store.count_groups() == 1
    assert not gateway.commit_now(GROUPS[:1])
    assert not gateway.commit([], [])
    store._execute("PRAGMA max_page_count = 10000")  # noqa: SLF001
    assert gateway.flush()
    assert (store.count_groups(), store.fetch_incident(GROUPS[-1])) == (len(GROUPS), b"over")


def test_births_are_stored_before_acknowledgement(store: Store) -> None:
    """A message that only declares metrics is acknowledged once its births are stored, and not before."""
    gateway = make_gateway(store, Clock(), acks_enabled=True)
    source = gateway._source  # noqa: SLF001, the double that the test gave it
    assert isinstance(source, FakeSource)
    store._execute("PRAGMA max_page_count = 20")  # noqa: SLF001, as if there were no more room
    births = {f"press/{number}": bytes(5000) for number in range(40)}
    assert not gateway.commit([], [], births)
    gateway.acknowledge([("spBv1.0/press/NBIRTH/1", b"", "token", 0)])
    assert (source.acknowledged, store.load_births()) == ([], {})
    store._execute("PRAGMA max_page_count = 10000")  # noqa: SLF001
    assert gateway.flush()
    gateway.acknowledge([])
    assert (source.acknowledged, store.load_births()) == (["token"], births)


def test_births_without_acks(store: Store) -> None:
    """With QoS 0 births are stored with the next commit."""
    clock = Clock()
    gateway = make_gateway(store, clock, acks_enabled=False)
    assert gateway.commit([], [], {"press/a": b"1"})
    assert not gateway.commit([], [], {"press/b": b"1"})
    assert store.load_births() == {"press/a": b"1"}
    clock.now += 1
    assert gateway.commit([], [], {"press/a": b""})
    assert store.load_births() == {"press/b": b"1"}


def test_flush(store: Store) -> None:
    """`flush` writes all changed groups, with QoS 0 too."""
    gateway = make_gateway(store, Clock(), acks_enabled=False)
    assert not gateway.commit(GROUPS, [])
    assert gateway.flush()
    assert store.count_groups() == len(GROUPS)


def test_pending_messages_shorten_the_wait(store: Store, mosquitto: Mosquitto) -> None:
    """While messages wait to be published, `take` waits only briefly."""
    messages = [OutboundMessage(f"alerts/{number}", b"", retain=False) for number in range(3000)]
    receive_queue = RecordingQueue()
    unconnected = make_gateway(store, Clock(), acks_enabled=True, receive_queue=receive_queue)
    unconnected.commit([], messages)
    unconnected.take(60.0)  # without a connection there is nothing else to do
    with session(mosquitto.port, RecordingListener()) as publish_session:
        wait_until_ready(publish_session)
        gateway = make_gateway(
            store, Clock(), acks_enabled=True, session=publish_session, receive_queue=receive_queue
        )
        while gateway.unconfirmed_count > 1000:  # so many may be unconfirmed at a time
            gateway.take(60.0)
            gateway.emit(iter(()))
        wait_until(lambda: gateway.emit(iter(())), "the rest is confirmed")
        gateway.take(60.0)
    first, *others, last = receive_queue.timeouts
    assert first == last == 60.0
    assert max(others) < 0.1


def test_readings_go_before_states(store: Store, mosquitto: Mosquitto) -> None:
    """While readings are queued, all alerts and few states are published; the other states follow later."""
    alerts = [OutboundMessage(f"alerts/{number}", b"", retain=False) for number in range(300)]
    states = iter([OutboundMessage(f"state/{number}", b"", retain=True) for number in range(300)])
    receive_queue = ReceiveQueue()
    with session(mosquitto.port, RecordingListener()) as publish_session:
        wait_until_ready(publish_session)
        gateway = make_gateway(
            store, Clock(), acks_enabled=True, session=publish_session, receive_queue=receive_queue
        )
        receive_queue.put([("p/g", b"", None, False)])
        gateway.commit([], alerts)
        assert not gateway.emit(states)
        wait_until(
            lambda: gateway.unconfirmed_count == 0 or gateway.emit(iter(())), "the alerts are confirmed"
        )
        gateway.emit(states)
        remaining = list(states)
        assert 300 - len(remaining) <= 2 * 50
        receive_queue.take(0)
        states = iter(remaining)
        gateway.emit(states)
        assert next(states, None) is None
