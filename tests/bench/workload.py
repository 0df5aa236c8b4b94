"""Readings as whole MQTT packets, made before any clock runs."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from tests.chaos.raw_mqtt import publish

__all__ = ["FILTER", "KEEPALIVE", "LINES", "Feed"]

FILTER = "plant/+/+/reading"
"""Subscribes to all of it."""
LINES = 2
"""The groups stand in so many lines by turns."""
KEEPALIVE = 300
"""Seconds: at QoS 0 the broker's answer to a ping stands behind all that was sent before it."""
_PERIOD = 5.0
"""Seconds of event time between two readings of a group: the bundle's sample period."""
_START = 1e9
"""Long ago, so that no event time is ahead of a clock."""
_NUMBERS = 65_535
_VALUES = 997
"""Different sets of values: enough that no two neighbours are equal, and made only once."""
_SPREAD = 0.1
_APART = 10.0
"""What makes a reading faulty: the third value is so far, in its own unit, above where it should be."""
_HEALTHY = 10
"""Readings of a group before the first such one: if it was healthy once, it stays Faulty for good."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What a sender sends: rounds of all groups, a message each."""

    names: tuple[str, ...]
    """The features."""
    means: tuple[float, ...]
    """Where a healthy reading's values lie, each in its feature's unit."""
    groups: int
    messages: int
    array: int = 1
    """Readings in a message; above 1 its payload is an array."""
    first: int = 0
    """How many readings each group has sent before."""
    qos: int = 0
    faulty_groups: int = 0
    """So many of the groups send faulty readings, after a few healthy ones."""

    @property
    def readings(self) -> int:
        """Return how many readings there are in all."""
        return self.messages * self.array

    @property
    def faulty(self) -> int:
        """Return how many messages are of groups that send faulty readings."""
        turns, rest = divmod(self.messages, self.groups)
        last = sum(group < self.faulty_groups for group in self._order()[:rest])
        return turns * min(self.faulty_groups, self.groups) + last

    def packets(self) -> Iterator[bytes]:
        """Yield a PUBLISH packet each message."""
        for index, (topic, payload) in enumerate(self.contents()):
            yield publish(topic, payload, index % _NUMBERS + 1, qos=self.qos)

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield topic and payload of each message."""
        chance = random.Random(1)  # noqa: S311, repeatable on purpose
        healthy = [self._values(chance, 0.0) for _ in range(_VALUES)]
        faulty = [self._values(chance, _APART) for _ in range(_VALUES)]
        order = self._order()
        topics = [f"plant/{_group_name(number)}/reading".encode() for number in range(self.groups)]
        for index in range(self.messages):
            turn, place = divmod(index, self.groups)
            group = order[place]
            start = self.first + turn * self.array
            values = faulty if group < self.faulty_groups and start >= _HEALTHY else healthy
            parts = [
                f'{{"ts":{_event_time(start + k)},{values[(index + k) % _VALUES]}}}'
                for k in range(self.array)
            ]
            payload = parts[0] if self.array == 1 else f"[{','.join(parts)}]"
            yield topics[group], payload.encode()

    def finder(self) -> Callable[[str, float], int]:
        """Return what tells which message (its index) a group's reading of an event time came in."""
        places = {_group_name(group): place for place, group in enumerate(self._order())}

        def find(group: str, ts: float) -> int:
            return (round((ts - _START) / _PERIOD) - self.first) // self.array * self.groups + places[group]

        return find

    def to_json(self) -> str:
        """Return it as a sender's argument."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def of_json(text: str) -> "Feed":
        """Return what `to_json` said."""
        return msgspec.json.decode(text, type=Feed)

    def _order(self) -> list[int]:
        """Return the groups in the order of each round."""
        order = list(range(self.groups))
        random.Random(2).shuffle(order)  # noqa: S311, repeatable on purpose
        return order

    def _values(self, chance: random.Random, apart: float) -> str:
        values = [mean + chance.uniform(-_SPREAD, _SPREAD) for mean in self.means]
        values[2] += apart
        return ",".join(f'"{name}":{value:.2f}' for name, value in zip(self.names, values, strict=True))


def _group_name(number: int) -> str:
    """Return what a group is called."""
    return f"line{number % LINES}/s{number:05}"


def _event_time(number: int) -> float:
    """Return when a group's reading of that number was taken, seconds since the Unix epoch."""
    return _START + _PERIOD * number
