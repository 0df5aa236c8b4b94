import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.core.messages import JSON
from monitor.mqtt.takeover import outranks
from tests.conftest import PATIENCE, Mosquitto, NewBroker, wait_until
from tests.monitor.mqtt.recording_listener import Ear, ready, session
from tests.support.processes import Monitor, Proxy, client
from tests.support.toy_bundle import HEALTHY, NAMES

INFO = "plant-monitor/info"
OURS = {"client_id": "under-test", "instance": "m", "started_at": "2026-01-01T00:00:00.000Z"}
LATER = {**OURS, "instance": "a", "started_at": "2026-01-01T00:00:00.001Z"}


def text(content: dict[str, Any]) -> bytes:
    """Return an info as it is published."""
    return json.dumps(content).encode()


def retain(port: int, info: dict[str, Any]) -> None:
    """Make the broker keep an info, as a process that isn't under test would."""
    with session(port, Ear(), "somebody-else") as own:
        ready(own)
        number = own.publish(INFO, text(info), retain=True)
        wait_until(lambda: number in own.delivered(), "the broker has it")


@contextmanager
def two_monitors(tmp_path: Path, bundle: Path, port: int, version: str) -> Iterator[tuple[Monitor, Monitor]]:
    """Start one monitor and, when it is ready, another with the same client id and base topic."""
    monitors = []
    try:
        for name in ("first", "second"):
            folder = tmp_path / name
            folder.mkdir()
            monitor = Monitor(folder, bundle, port, mqtt=f'version = "{version}"')
            monitors.append(monitor)
            monitor.start_ready()
        yield monitors[0], monitors[1]
    finally:
        for monitor in monitors:
            monitor.kill()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_one_goes_one_stays(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: str) -> None:
    """Of two monitors with one client id exactly one ends, with 2 and the reason; the other judges on."""
    with two_monitors(tmp_path, toy_bundle, mosquitto.port, version) as (first, second):
        wait_until(lambda: first.ended() or second.ended(), "one ends")
        loser, winner = (first, second) if first.ended() else (second, first)
        assert loser.process is not None
        assert loser.process.wait(PATIENCE) == 2
        assert "mqtt.client_id: another client connected as 'monitor-under-test'" in loser.log()
        wait_until(lambda: winner.get("/readyz")[0] == 200, "the other is ready")
        with client(mosquitto.port, "sensor-monitor/#") as other:
            for number in range(5):
                reading = {"ts": 1000 + 5 * number, **dict(zip(NAMES, HEALTHY, strict=True))}
                other.publish("plant/line1/station7/reading", reading)
            wait_until(lambda: winner.outcomes() == {"filling": 2, "judged": 3}, "all are judged")
            wait_until(lambda: other.texts("sensor-monitor/status")[-1:] == ["online"], "it says online")
        assert not winner.ended()


def contend(port: int, ear: Ear, info: dict[str, Any], **options: Any) -> Any:
    """Run a session that claims its client id with `info`."""
    return session(port, ear, filters=["in/+"], births=[(INFO, text(info), JSON)], claim=INFO, **options)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_comes_back_to_a_later_one(mosquitto: Mosquitto, version: str) -> None:
    """Whoever comes back and reads that a later one holds its id leaves, and doesn't write over that."""
    proxy, ear = Proxy(mosquitto.port), Ear()
    with contend(proxy.port, ear, OURS, version=version) as own:
        ready(own)
        retain(mosquitto.port, LATER)
        proxy.cut()
        wait_until(ear.ended.is_set, "it leaves")
        assert own.problem == "another client has taken over the client id"
    with client(mosquitto.port, INFO) as late:
        wait_until(lambda: late.messages, "the info comes")
        assert [json.loads(payload) for _, payload, _ in late.messages] == [LATER]
    assert (ear.messages, ear.connections) == ([], 1)
    proxy.close()


def test_backlog_hides_no_claim(mosquitto: Mosquitto) -> None:
    """More unacknowledged readings than the broker sends at once are not ahead of a claim."""
    proxy, ear = Proxy(mosquitto.port), Ear()
    with contend(proxy.port, ear, OURS, version="3.1.1", durable=True) as own:
        ready(own)
        with client(mosquitto.port) as other:
            for number in range(50):
                other.publish("in/a", b"%d" % number)
        wait_until(lambda: len(ear.messages) == 20, "as many come as mosquitto sends at once")
        retain(mosquitto.port, LATER)
        proxy.cut()
        wait_until(ear.ended.is_set, "it leaves")
    assert ear.connections == 1
    proxy.close()


def test_predecessor(mosquitto: Mosquitto) -> None:
    """The info of an earlier one, which a broker that was killed brings back, is written over."""
    earlier = {**LATER, "started_at": "2025-12-31T23:59:59.999Z"}
    proxy, ear = Proxy(mosquitto.port), Ear()
    with contend(proxy.port, ear, OURS) as own, client(mosquitto.port, INFO) as other:
        ready(own)
        wait_until(lambda: other.payloads(INFO) == [OURS], "it claims")
        retain(mosquitto.port, earlier)
        proxy.cut()
        wait_until(lambda: other.payloads(INFO) == [OURS, earlier, OURS], "it claims again")
    assert not ear.ended.is_set()
    proxy.close()


def test_newcomer_takes_over(mosquitto: Mosquitto) -> None:
    """A process that connects for the first time takes the id, whatever the info says: clocks differ."""
    ear = Ear()
    with client(mosquitto.port, INFO) as other:
        retain(mosquitto.port, LATER)
        with contend(mosquitto.port, ear, OURS) as own:
            ready(own)
            wait_until(lambda: other.payloads(INFO) == [LATER, OURS], "it claims")
    assert not ear.ended.is_set()
    assert ear.messages == []


def test_info_that_nobody_may_read(tmp_path: Path, new_broker: NewBroker) -> None:
    """Where the broker shows us no info, all else works."""
    (tmp_path / "acl").write_text(f"topic write {INFO}\ntopic readwrite in/#\n")
    broker = new_broker("allow_anonymous true", f"acl_file {tmp_path / 'acl'}")
    broker.start()
    ear = Ear()
    with contend(broker.port, ear, OURS) as own, client(broker.port) as other:
        ready(own)
        other.publish("in/a", b"hello")
        wait_until(lambda: ear.messages, "the message comes in")


@pytest.mark.parametrize(
    ("change", "wins"),
    [
        ({}, False),
        ({"instance": "z"}, True),
        ({"instance": "a"}, False),
        ({"instance": "a", "started_at": "2026-01-01T01:00:00.001+01:00"}, True),
        ({"instance": "a", "started_at": "2026-01-01T00:00:01"}, False),
        ({"started_at": "2027-01-01T00:00:00Z"}, False),
        ({"client_id": "other", "started_at": "2027-01-01T00:00:00Z", "instance": "a"}, False),
        ({"instance": 7, "started_at": "2027-01-01T00:00:00Z"}, False),
    ],
)
def test_rank(change: dict[str, Any], wins: bool) -> None:  # noqa: FBT001, a parameter of the test
    """The later start ranks first, then the instance; another id or a time without zone ranks nowhere."""
    assert outranks(text({**OURS, **change}), text(OURS)) == wins


@pytest.mark.parametrize("theirs", [b"", b"\xff", b'"\xff"', b"[" * 100_000, b"3", b"null"])
def test_unreadable_claim(theirs: bytes) -> None:
    """What can't be read claims nothing."""
    assert not outranks(theirs, text(OURS))
