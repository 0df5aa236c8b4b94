"""Readings as complete MQTT packets, which can be made before a measurement starts."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from tests.chaos.raw_mqtt import publish_packet

__all__ = ["KEEPALIVE_S", "LINE_COUNT", "TOPIC_FILTER", "Workload"]

TOPIC_FILTER = "plant/+/+/+"
"""Matches the topics of all groups: `reading`, or one for each feature."""
LINE_COUNT = 2
"""Lines of the plant, to which the groups belong in turn."""
KEEPALIVE_S = 300
"""Long, because the broker's answer to a ping is queued behind all QoS 0 messages that it sent before."""
_PERIOD_S = 5.0
"""Seconds of event time between two readings of a group: the bundle's sample period."""
_START_TS = 1e9
"""In 2001, so that no event time is ahead of the clock."""
_MAX_PACKET_ID = 65_535
_VALUE_SETS = 997
"""Sets of values that are formatted once and used in turn: enough that consecutive readings differ."""
_NOISE = 0.1
_FAULT_DEVIATION = 10.0
"""Deviation of the third value of a faulty reading from its usual value, in the feature's unit."""
_HEALTHY_READINGS = 10
"""Healthy readings of a group before its first faulty one; it stays Faulty from then on, because its baseline
was learned from healthy readings."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The messages that a sender sends: rounds of all groups, one message of each group per round."""

    features: tuple[str, ...]
    """Names of the features."""
    feature_means: tuple[float, ...]
    """Mean of each feature in healthy readings, in its unit."""
    group_count: int
    message_count: int
    readings_per_message: int = 1
    """If more than 1, the payload is an array."""
    readings_before: int = 0
    """Readings that each group has sent in earlier workloads; event times continue after them."""
    qos: int = 0
    faulty_group_count: int = 0
    """Number of groups that send faulty readings, after `_HEALTHY_READINGS` healthy ones."""
    value_format: str = ""
    """"json" or "number": each message has one value, as `{"value", "ts"}` (several: an array) or as text,
    on a topic of its own; "": readings."""

    @property
    def reading_count(self) -> int:
        """Return the number of readings, or of values if messages have one."""
        return self.message_count * self.readings_per_message

    @property
    def faulty_message_count(self) -> int:
        """Return the number of messages of groups that send faulty readings."""
        rounds, remainder = divmod(self.message_count, self.group_count)
        last_round_count = sum(group < self.faulty_group_count for group in self._group_order()[:remainder])
        return rounds * min(self.faulty_group_count, self.group_count) + last_round_count

    def packets(self) -> Iterator[bytes]:
        """Yield the PUBLISH packet of each message."""
        for index, (topic, payload) in enumerate(self.topics_and_payloads()):
            yield publish_packet(topic, payload, index % _MAX_PACKET_ID + 1, qos=self.qos)

    def topics_and_payloads(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield topic and payload of each message."""
        return self._values() if self.value_format else self._readings()

    def _values(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield messages with a value each: rounds of all topics, always in the same random order."""
        rng = random.Random(1)  # noqa: S311, repeatable on purpose
        topics = [
            (f"plant/{_group_name(group)}/{name}".encode(), mean)
            for group in range(self.group_count)
            for name, mean in zip(self.features, self.feature_means, strict=True)
        ]
        rng.shuffle(topics)
        noise = [rng.uniform(-_NOISE, _NOISE) for _ in range(_VALUE_SETS)]
        for index in range(self.message_count):
            round_index, position = divmod(index, len(topics))
            topic, mean = topics[position]
            start = self.readings_before + round_index * self.readings_per_message
            numbers = [
                f"{mean + noise[(index + k) % _VALUE_SETS]:.2f}" for k in range(self.readings_per_message)
            ]
            if self.value_format == "number":
                yield topic, numbers[0].encode()
                continue
            parts = [f'{{"value":{text},"ts":{_event_time(start + k)}}}' for k, text in enumerate(numbers)]
            yield topic, (parts[0] if len(parts) == 1 else f"[{','.join(parts)}]").encode()

    def _readings(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield messages with a reading each, or with an array of several."""
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
        """Return a function from a group and an event time to the index of the message with that reading."""
        positions = {_group_name(group): position for position, group in enumerate(self._group_order())}

        def message_index(group: str, ts: float) -> int:
            return (
                round((ts - _START_TS) / _PERIOD_S) - self.readings_before
            ) // self.readings_per_message * self.group_count + positions[group]

        return message_index

    def to_json(self) -> str:
        """Return the workload as JSON, for the command line of a sender."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> "Workload":
        """Return the workload of a text that `to_json` returned."""
        return msgspec.json.decode(text, type=Workload)

    def _group_order(self) -> list[int]:
        """Return the order of the groups, which is the same in each round."""
        order = list(range(self.group_count))
        random.Random(2).shuffle(order)  # noqa: S311, repeatable on purpose
        return order

    def _format_values(self, rng: random.Random, deviation: float) -> str:
        values = [mean + rng.uniform(-_NOISE, _NOISE) for mean in self.feature_means]
        values[2] += deviation
        return ",".join(f'"{name}":{value:.2f}' for name, value in zip(self.features, values, strict=True))


def _group_name(index: int) -> str:
    """Return the name of a group."""
    return f"line{index % LINE_COUNT}/s{index:05}"


def _event_time(index: int) -> float:
    """Return the event time of a group's reading of this index, seconds since the Unix epoch."""
    return _START_TS + _PERIOD_S * index
