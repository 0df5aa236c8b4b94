"""Readings as whole MQTT packets, made before any clock runs."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from tests.chaos.raw_mqtt import publish_packet

__all__ = ["KEEPALIVE_S", "LINE_COUNT", "TOPIC_FILTER", "Workload"]

TOPIC_FILTER = "plant/+/+/reading"
"""Subscribes to all of it."""
LINE_COUNT = 2
"""The groups stand in so many lines by turns."""
KEEPALIVE_S = 300
"""Seconds: at QoS 0 the broker's answer to a ping stands behind all that was sent before it."""
_PERIOD_S = 5.0
"""Seconds of event time between two readings of a group: the bundle's sample period."""
_START_TS = 1e9
"""Long ago, so that no event time is ahead of a clock."""
_MAX_PACKET_ID = 65_535
_VALUE_SETS = 997
"""Different sets of values: enough that no two neighbours are equal, and made only once."""
_NOISE = 0.1
_FAULT_DEVIATION = 10.0
"""What makes a reading faulty: the third value is so far, in its own unit, above where it should be."""
_HEALTHY_READINGS = 10
"""Readings of a group before the first such one: if it was healthy once, it stays Faulty for good."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a sender sends: rounds of all groups, a message each."""

    features: tuple[str, ...]
    """The features."""
    feature_means: tuple[float, ...]
    """Where a healthy reading's values lie, each in its feature's unit."""
    group_count: int
    message_count: int
    readings_per_message: int = 1
    """Readings in a message; above 1 its payload is an array."""
    readings_before: int = 0
    """How many readings each group has sent before."""
    qos: int = 0
    faulty_group_count: int = 0
    """So many of the groups send faulty readings, after a few healthy ones."""

    @property
    def reading_count(self) -> int:
        """Return how many readings there are in all."""
        return self.message_count * self.readings_per_message

    @property
    def faulty_message_count(self) -> int:
        """Return how many messages are of groups that send faulty readings."""
        rounds, remainder = divmod(self.message_count, self.group_count)
        last_round_count = sum(group < self.faulty_group_count for group in self._group_order()[:remainder])
        return rounds * min(self.faulty_group_count, self.group_count) + last_round_count

    def packets(self) -> Iterator[bytes]:
        """Yield a PUBLISH packet each message."""
        for index, (topic, payload) in enumerate(self.topics_and_payloads()):
            yield publish_packet(topic, payload, index % _MAX_PACKET_ID + 1, qos=self.qos)

    def topics_and_payloads(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield topic and payload of each message."""
        rng = random.Random(1)  # noqa: S311, repeatable on purpose
        healthy_values = [self._format_values(rng, 0.0) for _ in range(_VALUE_SETS)]
        faulty_values = [self._format_values(rng, _FAULT_DEVIATION) for _ in range(_VALUE_SETS)]
        order = self._group_order()
        topics = [f"plant/{_group_name(number)}/reading".encode() for number in range(self.group_count)]
        for index in range(self.message_count):
            round_index, position = divmod(index, self.group_count)
            group = order[position]
            start = self.readings_before + round_index * self.readings_per_message
            values = (
                faulty_values
                if group < self.faulty_group_count and start >= _HEALTHY_READINGS
                else healthy_values
            )
            parts = [
                f'{{"ts":{_event_time(start + k)},{values[(index + k) % _VALUE_SETS]}}}'
                for k in range(self.readings_per_message)
            ]
            payload = parts[0] if self.readings_per_message == 1 else f"[{','.join(parts)}]"
            yield topics[group], payload.encode()

    def message_index_lookup(self) -> Callable[[str, float], int]:
        """Return what tells which message (its index) a group's reading of an event time came in."""
        positions = {_group_name(group): position for position, group in enumerate(self._group_order())}

        def message_index(group: str, ts: float) -> int:
            return (
                round((ts - _START_TS) / _PERIOD_S) - self.readings_before
            ) // self.readings_per_message * self.group_count + positions[group]

        return message_index

    def to_json(self) -> str:
        """Return it as a sender's argument."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> "Workload":
        """Return what `to_json` said."""
        return msgspec.json.decode(text, type=Workload)

    def _group_order(self) -> list[int]:
        """Return the groups in the order of each round."""
        order = list(range(self.group_count))
        random.Random(2).shuffle(order)  # noqa: S311, repeatable on purpose
        return order

    def _format_values(self, rng: random.Random, deviation: float) -> str:
        values = [mean + rng.uniform(-_NOISE, _NOISE) for mean in self.feature_means]
        values[2] += deviation
        return ",".join(f'"{name}":{value:.2f}' for name, value in zip(self.features, values, strict=True))


def _group_name(index: int) -> str:
    """Return what a group is called."""
    return f"line{index % LINE_COUNT}/s{index:05}"


def _event_time(index: int) -> float:
    """Return when a group's reading of that number was taken, seconds since the Unix epoch."""
    return _START_TS + _PERIOD_S * index
