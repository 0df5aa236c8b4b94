import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.core.messages import JSON_PROPERTIES
from monitor.mqtt.takeover import is_newer_instance
from tests.conftest import TIMEOUT_S, BrokerFactory, Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.support.processes import Monitor, Proxy, connect_client
from tests.support.toy_bundle import HEALTHY, NAMES

INFO_TOPIC = "plant-monitor/info"
OWN_INFO = {"client_id_sha256": "0d", "instance": "m", "started_at": "2026-01-01T00:00:00.000Z"}
LATER_INFO = {**OWN_INFO, "instance": "a", "started_at": "2026-01-01T00:00:00.001Z"}


def encode_info(content: dict[str, Any]) -> bytes:
    """Return an info as the payload that is published."""
    return json.dumps(content).encode()


def publish_retained(port: int, info: dict[str, Any]) -> None:
    """Publish an info retained, from a client that is not under test."""
    with session(port, RecordingListener(), "other-client") as own:
        wait_until_ready(own)
        message_id = own.publish(INFO_TOPIC, encode_info(info), retain=True)
        wait_until(lambda: message_id in own.take_delivered(), "the broker confirms it")


@contextmanager
def two_monitors(tmp_path: Path, bundle: Path, port: int, version: str) -> Iterator[tuple[Monitor, Monitor]]:
    """Start a monitor and, once it is ready, another with the same client id and base topic."""
    monitors = []
    try:
        for name in ("first", "second"):
            folder = tmp_path / name
            folder.mkdir()
            monitor = Monitor(folder, bundle, port, mqtt_toml=f'version = "{version}"')
            monitors.append(monitor)
            monitor.start_ready()
        yield monitors[0], monitors[1]
    finally:
        for monitor in monitors:
            monitor.kill()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_exactly_one_monitor_keeps_the_client_id(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: str
) -> None:
    """Of two monitors with one client id exactly one exits, with 2 and a reason; the other continues."""
    with two_monitors(tmp_path, toy_bundle, mosquitto.port, version) as (first, second):
        wait_until(lambda: first.has_exited() or second.has_exited(), "one exits")
        loser, winner = (first, second) if first.has_exited() else (second, first)
        assert loser.process is not None
        assert loser.process.wait(TIMEOUT_S) == 2
        assert (
            "mqtt.client_id: another monitor, which started later, connected as 'monitor-under-test'"
            in loser.log()
        )
        wait_until(lambda: winner.get("/readyz")[0] == 200, "the other is ready")
        with connect_client(mosquitto.port, "sensor-monitor/#") as other:
            for number in range(5):
                reading = {"ts": 1000 + 5 * number, **dict(zip(NAMES, HEALTHY, strict=True))}
                other.publish("plant/line1/station7/reading", reading)
            wait_until(lambda: winner.outcomes() == {"filling": 2, "judged": 3}, "all are judged")
            wait_until(lambda: other.texts("sensor-monitor/status")[-1:] == ["online"], "it publishes online")
        assert not winner.has_exited()


def takeover_session(port: int, listener: RecordingListener, info: dict[str, Any], **options: Any) -> Any:
    """Run a session that publishes `info` on the takeover topic."""
    return session(
        port,
        listener,
        filters=["in/+"],
        births=[(INFO_TOPIC, encode_info(info), JSON_PROPERTIES)],
        takeover_topic=INFO_TOPIC,
        **options,
    )


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_reconnect_yields_to_later_instance(mosquitto: Mosquitto, version: str) -> None:
    """A session that reconnects and reads a later instance's info stops, and does not overwrite that info."""
    proxy, listener = Proxy(mosquitto.port), RecordingListener()
    with takeover_session(proxy.port, listener, OWN_INFO, version=version) as own:
        wait_until_ready(own)
        publish_retained(mosquitto.port, LATER_INFO)
        proxy.disconnect_all()
        wait_until(listener.taken_over_event.is_set, "it stops")
        assert own.problem == "a newer monitor has taken over the client id"
    with connect_client(mosquitto.port, INFO_TOPIC) as other:
        wait_until(lambda: other.messages, "the retained info arrives")
        assert [json.loads(payload) for _, payload, _ in other.messages] == [LATER_INFO]
    assert (listener.messages, listener.connect_count) == ([], 1)
    proxy.close()


def test_backlog_does_not_delay_takeover(mosquitto: Mosquitto) -> None:
    """A backlog larger than the broker's in-flight limit does not delay the info on the takeover topic."""
    proxy, listener = Proxy(mosquitto.port), RecordingListener()
    with takeover_session(proxy.port, listener, OWN_INFO, version="3.1.1", durable=True) as own:
        wait_until_ready(own)
        with connect_client(mosquitto.port) as other:
            for number in range(50):
                other.publish("in/a", b"%d" % number)
        wait_until(lambda: len(listener.messages) == 20, "mosquitto's in-flight limit is reached")
        publish_retained(mosquitto.port, LATER_INFO)
        proxy.disconnect_all()
        wait_until(listener.taken_over_event.is_set, "it stops")
    assert listener.connect_count == 1
    proxy.close()


def test_info_of_earlier_instance_is_overwritten(mosquitto: Mosquitto) -> None:
    """An earlier instance's info, which a broker that was killed restores, is overwritten."""
    earlier = {**LATER_INFO, "started_at": "2025-12-31T23:59:59.999Z"}
    proxy, listener = Proxy(mosquitto.port), RecordingListener()
    with (
        takeover_session(proxy.port, listener, OWN_INFO) as own,
        connect_client(mosquitto.port, INFO_TOPIC) as other,
    ):
        wait_until_ready(own)
        wait_until(lambda: other.payloads(INFO_TOPIC) == [OWN_INFO], "it publishes its info")
        publish_retained(mosquitto.port, earlier)
        proxy.disconnect_all()
        wait_until(
            lambda: other.payloads(INFO_TOPIC) == [OWN_INFO, earlier, OWN_INFO], "it publishes its info again"
        )
    assert not listener.taken_over_event.is_set()
    proxy.close()


def test_newcomer_takes_over(mosquitto: Mosquitto) -> None:
    """A process that connects for the first time takes the client id, whatever the info: clocks differ."""
    listener = RecordingListener()
    with connect_client(mosquitto.port, INFO_TOPIC) as other:
        publish_retained(mosquitto.port, LATER_INFO)
        with takeover_session(mosquitto.port, listener, OWN_INFO) as own:
            wait_until_ready(own)
            wait_until(lambda: other.payloads(INFO_TOPIC) == [LATER_INFO, OWN_INFO], "it publishes its info")
    assert not listener.taken_over_event.is_set()
    assert listener.messages == []


def test_info_topic_without_read_access(tmp_path: Path, new_broker: BrokerFactory) -> None:
    """A session that may not read the takeover topic works all the same."""
    (tmp_path / "acl").write_text(f"topic write {INFO_TOPIC}\ntopic readwrite in/#\n")
    broker = new_broker("allow_anonymous true", f"acl_file {tmp_path / 'acl'}")
    broker.start()
    listener = RecordingListener()
    with takeover_session(broker.port, listener, OWN_INFO) as own, connect_client(broker.port) as other:
        wait_until_ready(own)
        other.publish("in/a", b"hello")
        wait_until(lambda: listener.messages, "the message arrives")


@pytest.mark.parametrize(
    ("change", "is_newer"),
    [
        ({}, False),
        ({"instance": "z"}, True),
        ({"instance": "a"}, False),
        ({"instance": "a", "started_at": "2026-01-01T01:00:00.001+01:00"}, True),
        ({"instance": "a", "started_at": "2026-01-01T00:00:01"}, False),
        ({"instance": "z", "started_at": "2026-01-02T23:59:59Z"}, True),
        ({"instance": "z", "started_at": "2026-01-03T00:00:01Z"}, False),
        ({"started_at": "2027-01-01T00:00:00Z"}, False),
        ({"client_id_sha256": "0e", "started_at": "2027-01-01T00:00:00Z", "instance": "a"}, False),
        ({"instance": 7, "started_at": "2027-01-01T00:00:00Z"}, False),
    ],
)
def test_later_instance_wins(change: dict[str, Any], is_newer: bool) -> None:  # noqa: FBT001, a parameter of the test
    """The later start wins, then the greater instance; never another client id, no zone, the far future."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert is_newer_instance(encode_info({**OWN_INFO, **change}), encode_info(OWN_INFO), now) == is_newer


@pytest.mark.parametrize("other_info", [b"", b"\xff", b'"\xff"', b"[" * 100_000, b"3", b"null"])
def test_unreadable_info_is_ignored(other_info: bytes) -> None:
    """An info that cannot be read is ignored."""
    assert not is_newer_instance(other_info, encode_info(OWN_INFO), datetime.now(UTC))
