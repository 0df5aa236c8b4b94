"""What the broker had kept for a monitor that was away or stopped is judged, all of it."""

import json
import select
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.raw_mqtt import PUBACK, Connection, publish_packet
from tests.conftest import Mosquitto, wait_until
from tests.support.processes import Monitor, run_monitor
from tests.support.toy_bundle import HEALTHY, NAMES, STEPS

_GATEWAY = """
[[input.sources]]
topic = "gateways/{name}"
group = "$.device"
"""
_MAX_UNCONFIRMED = 2_000
_LONG_STOP_S = 6.0
"""After 5 s without progress the monitor expects that the broker has kept messages."""

_Message = tuple[bytes, bytes]
"""Topic and payload."""


def _stations(count: int, readings: range) -> Iterator[_Message]:
    """Readings of stations in turn, on a topic each."""
    for number in readings:
        for station in range(count):
            yield b"plant/line1/station%d/reading" % station, _payload(number)


def _gateway(name: str, groups: int, readings: range) -> Iterator[_Message]:
    """Readings of groups in turn, all on one topic."""
    for number in readings:
        for group in range(groups):
            yield f"gateways/{name}".encode(), _payload(number, device=f"{name}-{group}")


def _payload(number: int, **fields: str) -> bytes:
    return json.dumps({"ts": 1e9 + number, **dict(zip(NAMES, HEALTHY, strict=True)), **fields}).encode()


def _publish(port: int, messages: Iterable[_Message]) -> int:
    """Publish with QoS 1; return how many messages the broker has confirmed, which are all of them."""
    packets = [
        publish_packet(topic, payload, number % 65_535 + 1)
        for number, (topic, payload) in enumerate(messages)
    ]
    sent = confirmed = 0
    with Connection(port, "plant") as connection:
        while confirmed < len(packets):
            end = min(confirmed + _MAX_UNCONFIRMED, len(packets))
            connection.send(b"".join(packets[sent:end]))
            sent = end
            select.select([connection], [], [])
            confirmed += sum(packet.packet_type == PUBACK for packet in connection.receive())
    return confirmed


@contextmanager
def _stopped(monitor: Monitor) -> Iterator[None]:
    """Stop the process while the block runs."""
    assert monitor.process is not None
    monitor.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        monitor.process.send_signal(signal.SIGCONT)


def _wait_for_all(monitor: Monitor, sent: int, groups: int) -> None:
    """Wait until all readings are counted; fail if one was not judged but for want of a full window."""
    wait_until(lambda: sum(monitor.outcomes().values()) >= sent, "all readings are counted")
    filling = groups * (STEPS - 1)
    assert monitor.outcomes() == {"filling": filling, "judged": sent - filling}


def test_monitor_that_was_away(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """60,000 readings on 5 topics came while the monitor was updated."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with run_monitor(monitor):
        assert monitor.terminate() == 0
    sent = _publish(mosquitto.port, _stations(5, range(12_000)))
    with run_monitor(monitor):
        _wait_for_all(monitor, sent, groups=5)


def test_monitor_that_was_stopped(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Three stations sent 1,000 readings a second each while the monitor was stopped for 10 s."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor:
        sent = _publish(mosquitto.port, _stations(3, range(10)))
        wait_until(lambda: sum(monitor.outcomes().values()) == sent, "the stations are known")
        with _stopped(monitor):
            ends_at = time.monotonic() + _LONG_STOP_S
            sent += _publish(mosquitto.port, _stations(3, range(10, 10_000)))
            wait_until(lambda: time.monotonic() >= ends_at, "the stop is a long one")
        _wait_for_all(monitor, sent, groups=3)


@pytest.mark.parametrize("has_other_topic", [True, False], ids=["one of two topics", "the only topic"])
def test_gateway(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, *, has_other_topic: bool) -> None:
    """500 groups sent 4 readings a second each on one topic while the monitor was stopped for 10 s."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, _GATEWAY)) as monitor:
        sent = _publish(mosquitto.port, _gateway("other", has_other_topic, range(STEPS)))
        sent += _publish(mosquitto.port, _gateway("large", 500, range(STEPS)))
        wait_until(lambda: sum(monitor.outcomes().values()) == sent, "the groups are known")
        with _stopped(monitor):
            sent += _publish(mosquitto.port, _gateway("large", 500, range(STEPS, 43)))
        _wait_for_all(monitor, sent, groups=500 + has_other_topic)


def test_only_station(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """The only station of a plant sent 4,000 readings a second while the monitor was stopped for 5 s."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor:
        sent = _publish(mosquitto.port, _stations(1, range(10)))
        wait_until(lambda: sum(monitor.outcomes().values()) == sent, "the station is known")
        with _stopped(monitor):
            sent += _publish(mosquitto.port, _stations(1, range(10, 20_010)))
        _wait_for_all(monitor, sent, groups=1)
