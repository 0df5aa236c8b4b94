"""Patterns and names that are costly to match, by an operator's login and one that publishes readings."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.raw_mqtt import PUBACK, Connection, publish_packet
from tests.conftest import Mosquitto, wait_until
from tests.security.attackers import Target, publish_flood
from tests.security.plant import Plant
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

_GROUP_COUNT = 2_000
_REQUEST_TOPIC = b"sensor-monitor/request/%s"
_COSTLY_PATTERNS = [f"*{'a?' * 100}{number:02d}*b" for number in range(30)]
_MUTES = {f"*{'a?' * 110}{number:02d}": f"{'a' * 900}{number:02d}" for number in range(30)}
"""Costly pattern -> the only station whose group it matches."""
_UNMUTED_STATIONS = [f"{'a' * 900}-{number}-" for number in range(200)]


def _reading(ts: float, values: list[float]) -> bytes:
    return json.dumps({"ts": ts, **dict(zip(NAMES, values, strict=True))}).encode()


def _topic(station: str) -> bytes:
    return f"plant/line9/{station}/reading".encode()


def _mutes() -> Iterator[tuple[bytes, bytes]]:
    for pattern in _MUTES:
        yield _REQUEST_TOPIC % b"silence", json.dumps({"group": pattern, "minutes": 30}).encode()


def _requests(patterns: list[str]) -> Iterator[tuple[bytes, bytes]]:
    for number, pattern in enumerate(patterns):
        for name, content in (
            (b"silence", {"minutes": 30 + number}),
            (b"acknowledge", {}),
            (b"forget", {}),
        ):
            yield _REQUEST_TOPIC % name, json.dumps({"group": pattern, **content}).encode()


def request_costly_patterns(target: Target) -> None:
    """Send readings of many groups with long names, and then requests that look at all of them."""
    readings = ((_topic(f"{'a' * 900}{number}"), _reading(1e9, HEALTHY)) for number in range(_GROUP_COUNT))
    requests = itertools.cycle(_requests([f"*{'?' * 900}", f"*{'?' * 255}", *_COSTLY_PATTERNS]))
    publish_flood(
        target,
        itertools.chain(readings, requests),
        max_unconfirmed=20,
        confirmed_before_start=_GROUP_COUNT + 20,
    )


def raise_alerts(target: Target) -> None:
    """Let all groups with long names turn faulty, over and over again."""
    stations = [*_MUTES.values(), *_UNMUTED_STATIONS]
    with Connection(target.broker_port, "attacker") as connection:
        for number in itertools.count():
            values = FAULTY if number % 8 < 4 else HEALTHY
            messages = [(_topic(station), _reading(1e9 + 5 * number, values)) for station in stations]
            _publish(connection, messages)
            if number == 4:
                target.started.set()
            if target.stopped.wait(0.2):
                return


def test_requests_with_costly_patterns(plant: Plant) -> None:
    """Requests that match costly patterns against all groups don't delay alerts."""
    with plant.attack(request_costly_patterns):
        for _ in range(3):
            plant.send_rounds(2)
            plant.turn_faulty()
    plant.assert_unharmed(attacker_sent_readings=True)


def test_mutes_with_costly_patterns(plant: Plant) -> None:
    """Many costly mutes don't delay the alerts of others."""
    _mute(plant.broker.port, 1e9 - 5)
    with plant.attack(raise_alerts):
        for _ in range(3):
            plant.send_rounds(2)
            plant.turn_faulty()
    assert plant.monitor.metric("incidents_muted_total") >= len(_MUTES)
    plant.assert_unharmed(attacker_sent_readings=True)


def test_costly_mutes_after_a_restart(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Costly mutes are in force after a restart, and delay no alert of others then, either."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/#") as client:
        with run_monitor(monitor):
            _mute(mosquitto.port, 995.0)
            monitor.kill()
        with run_monitor(monitor), Connection(mosquitto.port, "attacker") as connection:
            topics = [*map(_topic, [*_MUTES.values(), *_UNMUTED_STATIONS]), b"plant/line1/station7/reading"]
            for ts in (1000.0, 1005.0, 1010.0, 1015.0):
                _publish(connection, [(topic, _reading(ts, FAULTY)) for topic in topics])
            wait_until(lambda: client.payloads("sensor-monitor/alerts/line1/station7"), "the other's alert")
            monitor.wait_for_metric(len(_MUTES), "incidents_muted_total")
            monitor.wait_for_metric(len(_MUTES), "muted_groups")
            wait_until(
                lambda: len(client.payloads("sensor-monitor/alerts/")) == len(_UNMUTED_STATIONS) + 1,
                "all others are alerted",
            )


def _mute(port: int, ts: float) -> None:
    """Make the groups known that the mutes match, and mute them."""
    with connect_client(port, "sensor-monitor/response/silence") as client:
        with Connection(port, "attacker") as connection:
            _publish(connection, [(_topic(name), _reading(ts, HEALTHY)) for name in _MUTES.values()])
            _publish(connection, list(_mutes()))
        wait_until(lambda: len(client.messages) == len(_MUTES), "all are answered")
        assert {answer["status"] for answer in client.payloads("sensor-monitor/response/")} == {"ok"}


def _publish(connection: Connection, messages: list[tuple[bytes, bytes]]) -> None:
    """Publish messages and wait until the broker has confirmed them."""
    connection.send(
        b"".join(
            publish_packet(topic, payload, number)
            for number, (topic, payload) in enumerate(messages, start=1)
        )
    )
    confirmed = 0
    while confirmed < len(messages):
        confirmed += sum(packet.packet_type == PUBACK for packet in connection.receive())
