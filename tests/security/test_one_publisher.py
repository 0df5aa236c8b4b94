"""One publisher, on one topic or on invented ones, neither delays alerts nor costs the others a reading."""

import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.security.attackers import Attacker, Target, publish_flood
from tests.security.plant import Plant
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

_TOPIC = b"plant/line9/attacker/reading"
_PAYLOAD_BYTES = (1 << 20) - 100
"""The largest that is read."""


def _repeat(element: bytes, start: bytes = b"[", end: bytes = b"0]") -> bytes:
    return start + element * (_PAYLOAD_BYTES // len(element)) + end


def _zeros() -> Iterator[bytes]:
    return itertools.repeat(_repeat(b"0,"))


def _empty_objects() -> Iterator[bytes]:
    return itertools.repeat(_repeat(b"{},"))


def _open_arrays() -> Iterator[bytes]:
    return itertools.repeat(_repeat(b"[", b"", b""))


def _open_objects() -> Iterator[bytes]:
    return itertools.repeat(_repeat(b'{"a":', b"", b""))


def _many_keys() -> Iterator[bytes]:
    keys = b",".join(b'"k%d":1' % number for number in range(80_000))
    return itertools.repeat(b"{" + keys + b"}")


def _bad_readings() -> Iterator[bytes]:
    """Arrays of readings each of which lacks a feature."""
    return itertools.repeat(_repeat(b'{"ts":1000000000,"temperature_1":20.0,"humidity_1":50.0},'))


def _ts(number: int) -> bytes:
    """Return an event time: µs apart, so that what is dropped leaves no `gap` for `Plant` to find."""
    return b"1000000000.%06d" % number


def _reading_arrays() -> Iterator[bytes]:
    """Arrays of 7,000 healthy readings, as of a station that was away for ten hours."""
    body = json.dumps(dict(zip(NAMES, HEALTHY, strict=True)), separators=(",", ":")).encode()[1:]
    for start in itertools.count(0, 7_000):
        readings = (b'{"ts":%s,%s' % (_ts(start + number), body) for number in range(7_000))
        yield b"[" + b",".join(readings) + b"]"


def _readings(period: int, faulty: int) -> Iterator[bytes]:
    """Readings one by one, of which the last `faulty` of each `period` are faulty."""
    bodies = [json.dumps(dict(zip(NAMES, values, strict=True))).encode()[1:] for values in (HEALTHY, FAULTY)]
    for number in itertools.count():
        yield b'{"ts":%s,%s' % (_ts(number), bodies[number % period >= period - faulty])


def _texts() -> Iterator[bytes]:
    return (b"x%d" % number for number in itertools.count())


def _flood(payloads: Callable[[], Iterator[bytes]], max_unconfirmed: int, start: int, target: Target) -> None:
    messages = ((_TOPIC, payload) for payload in payloads())
    publish_flood(target, messages, max_unconfirmed=max_unconfirmed, confirmed_before_start=start)


def _large(payloads: Callable[[], Iterator[bytes]]) -> Attacker:
    return partial(_flood, payloads, 5, 30)


def _small(payloads: Callable[[], Iterator[bytes]]) -> Attacker:
    return partial(_flood, payloads, 500, 20_000)


@pytest.mark.parametrize(
    "attacker",
    [
        pytest.param(_large(_zeros), id="numbers"),
        pytest.param(_large(_empty_objects), id="empty objects"),
        pytest.param(_large(_open_arrays), id="deep arrays"),
        pytest.param(_large(_open_objects), id="deep objects"),
        pytest.param(_large(_many_keys), id="keys"),
        pytest.param(_large(_bad_readings), id="bad readings"),
        pytest.param(_large(_reading_arrays), id="arrays of readings"),
        pytest.param(_small(partial(_readings, 1, 0)), id="a thousand times the pace"),
        pytest.param(_small(partial(_readings, 8, 3)), id="an incident each eight readings"),
        pytest.param(_small(_texts), id="no JSON"),
    ],
)
def test_flood_on_one_topic(plant: Plant, attacker: Attacker) -> None:
    """However much one topic brings, alerts come within 2 s, and no other reading is lost."""
    with plant.attack(attacker):
        plant.turn_faulty()
        plant.send_rounds(4)
        plant.turn_faulty()
    plant.assert_unharmed(attacker_sent_readings=True)
