"""Floods of well-formed messages, by a client that may publish where the plant does."""

import itertools
import json
from collections.abc import Iterator

from tests.security.attackers import Target, publish_flood
from tests.security.plant import Plant
from tests.support.toy_bundle import HEALTHY, NAMES

_LONG_TOPIC_BYTES = 60_000
"""MQTT allows 65,535."""


def flood_long_topics(target: Target) -> None:
    """Publish to ever new topics of 60 KB that match the monitor's filter."""
    publish_flood(target, _long_topics(), max_unconfirmed=20, confirmed_before_start=500)


def flood_invented_groups(target: Target) -> None:
    """Publish readings of ever new groups."""
    publish_flood(target, _invented_groups(), max_unconfirmed=20, confirmed_before_start=5_000)


def _reading(ts: float) -> bytes:
    return json.dumps({"ts": ts, **dict(zip(NAMES, HEALTHY, strict=True))}).encode()


def _long_topics() -> Iterator[tuple[bytes, bytes]]:
    reading, filling = _reading(1e9), b"x" * _LONG_TOPIC_BYTES
    for number in itertools.count():
        yield b"plant/line%d/%s/reading" % (number, filling), reading


def _invented_groups() -> Iterator[tuple[bytes, bytes]]:
    reading = _reading(1e9)
    for number in itertools.count():
        yield b"plant/invented/station%d/reading" % number, reading


def test_long_topics(plant: Plant) -> None:
    """Topics of 60 KB, each another group, neither delay alerts nor fill the memory."""
    with plant.attack(flood_long_topics):
        plant.turn_faulty()
        for _ in range(2):
            plant.send_rounds(4)
            plant.turn_faulty()
    plant.assert_unharmed(attacker_sent_readings=True)


def test_invented_groups(plant: Plant) -> None:
    """Readings of ever new groups neither delay alerts of the plant's own nor fill the memory."""
    with plant.attack(flood_invented_groups):
        plant.turn_faulty()
        for _ in range(2):
            plant.send_rounds(4)
            plant.turn_faulty()
    plant.assert_unharmed(attacker_sent_readings=True)
