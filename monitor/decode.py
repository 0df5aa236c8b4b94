"""Topic and payload -> readings, or a named reason why not."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from monitor.payload_schema import TS, payload_type, resolve_paths
from monitor.records import Message, Outcome, Readings, Refusal
from monitor.topics import Template

__all__ = ["DecodeStage", "parse_ts", "readable"]

# An array of several thousand readings fits; what is larger is no plant's message.
_MAX_PAYLOAD_BYTES = 1 << 20
# The group's name goes into topics of our own, and MQTT ends at 65,535 bytes.
_MAX_TOPIC_LENGTH = 1000
# Far beyond any sensor, and still finite in the model's float32 after scaling and weighting.
_LARGEST_VALUE = 1e12
_MILLISECONDS_ABOVE = 1e11
_LAST_SECOND_OF_9999 = 253402300799.0


class DecodeStage:
    """Reads batches of messages.

    Parameters
    ----------
    templates : the input templates; at most one fits a topic.
    features : the bundle's feature names in order.
    fields : feature (or `ts`) -> dotted path in the payload, where it isn't its own name.

    Raises
    ------
    ValueError : `fields` names something that is no feature, or two paths collide.
    """

    def __init__(
        self, templates: Sequence[Template], features: Sequence[str], fields: Mapping[str, str]
    ) -> None:
        self._templates = templates
        kind, payload, get = payload_type(resolve_paths(features, fields))
        self._get_values = [get[name] for name in features]
        self._get_ts = get[TS]
        self._decode_any = msgspec.json.Decoder(payload).decode
        self._decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._decode_one = msgspec.json.Decoder(kind).decode

    def decode(self, messages: Sequence[Message]) -> tuple[Readings, list[Refusal]]:
        """Return the readings in the order of arrival, and what could not be read."""
        groups: list[str] = []
        ts: list[float] = []
        values: list[list[float]] = []
        arrived: list[float] = []
        received: list[float] = []
        again: list[bool] = []
        refusals: list[Refusal] = []
        for message in messages:
            if len(message.topic) > _MAX_TOPIC_LENGTH:
                reason = (
                    f"the topic has {len(message.topic)} characters, expected at most {_MAX_TOPIC_LENGTH}"
                )
                refusals.append(Refusal(Outcome.UNMATCHED, message.topic[:_MAX_TOPIC_LENGTH], reason))
                continue
            group = self._group(message.topic)
            if group is None:
                reason = "the topic fits no template of input.topics"
                refusals.append(Refusal(Outcome.UNMATCHED, message.topic, reason))
                continue
            for reading in self._read(message):
                if isinstance(reading, str):
                    refusals.append(Refusal(Outcome.MALFORMED, message.topic, reading))
                    continue
                groups.append(group)
                ts.append(reading[0])
                values.append(reading[1])
                # A reading that takes its time of arrival for its own is never ahead of the clock.
                own = reading[0] == message.stamp
                arrived.append(message.stamp if own else message.arrived_at)
                received.append(message.received)
                again.append(message.redelivered)
        readings = Readings(
            groups=groups,
            ts=np.array(ts, dtype=np.float64),
            values=np.array(values, dtype=np.float64).reshape(len(ts), len(self._get_values)),
            arrived_at=np.array(arrived, dtype=np.float64),
            received=np.array(received, dtype=np.float64),
            redelivered=np.array(again, dtype=np.bool_),
        )
        return readings, refusals

    def _group(self, topic: str) -> str | None:
        for template in self._templates:
            group = template.group(topic)
            if group is not None:
                return group
        return None

    def _read(self, message: Message) -> Iterator[tuple[float, list[float]] | str]:
        """Yield each reading of a message, or the reason why it is none."""
        payload = message.payload
        if len(payload) > _MAX_PAYLOAD_BYTES:
            yield f"the payload has {len(payload)} bytes, expected at most {_MAX_PAYLOAD_BYTES}"
            return
        try:
            content = self._decode_any(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield from self._read_parts(message, _say(error))
            return
        if content == []:
            yield "an empty array; expected at least one reading"
        elif isinstance(content, list):
            for item in content:
                yield self._check(item, None)
        else:
            yield self._check(content, message.stamp)

    def _read_parts(self, message: Message, reason: str) -> Iterator[tuple[float, list[float]] | str]:
        """Read an array element by element, so that a bad one doesn't take the good ones with it."""
        try:
            parts = self._decode_parts(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield reason
            return
        for part in parts:
            try:
                yield self._check(self._decode_one(part), None)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                yield _say(error)

    def _check(self, content: Any, stamp: float | None) -> tuple[float, list[float]] | str:
        values = [get(content) for get in self._get_values]
        for value in values:
            if not readable(value):
                return f"a value of {value:g}, expected at most {_LARGEST_VALUE:g} either way"
        ts = self._get_ts(content)
        if ts is msgspec.UNSET:
            if stamp is None:
                return "no ts; expected one in each element of an array"
            return stamp, values
        try:
            return parse_ts(ts), values
        except ValueError as error:
            return str(error)


def _say(error: Exception) -> str:
    """Return the decoder's message, with the name that people have for its commonest cause."""
    text = str(error)
    return f"{text}: a number in quotes?" if "`float`, got `str`" in text else text


def readable(value: float) -> bool:
    """Say whether a number can be a feature's value: finite, and not beyond what the model can take."""
    return -_LARGEST_VALUE <= value <= _LARGEST_VALUE


def parse_ts(ts: float | str) -> float:
    """Return an event time in seconds since the Unix epoch.

    Parameters
    ----------
    ts : seconds, or milliseconds where above 1e11; or ISO 8601, UTC where it names no zone.

    Raises
    ------
    ValueError : it is neither, or lies before 1970 or after 9999.
    """
    if isinstance(ts, str):
        if ts.strip().replace(".", "", 1).isdigit():
            raise ValueError(f"ts is {ts[:40]!r}, a number in quotes; expected a number or ISO 8601")
        try:
            moment = datetime.fromisoformat(ts)
        except ValueError:
            raise ValueError(f"ts is {ts[:40]!r}; expected a number or ISO 8601") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    else:
        seconds = ts / 1000 if ts > _MILLISECONDS_ABOVE else ts
    if not (math.isfinite(seconds) and 0 <= seconds <= _LAST_SECOND_OF_9999):
        raise ValueError(f"ts is {ts!r}; expected a time between 1970 and 9999")
    return seconds
