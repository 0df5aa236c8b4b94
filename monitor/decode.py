"""Topic and payload -> readings, or a named reason why not."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from monitor.payload_schema import payload_type, resolve_paths
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
# Topics of groups that are gone are forgotten one by one; this is for those whose readings were all refused.
_MOST_KNOWN = 1 << 18
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
        kind, payload, self._get = payload_type(resolve_paths(features, fields), features)
        self._features = len(features)
        self._decode_any = msgspec.json.Decoder(payload).decode
        self._decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._decode_one = msgspec.json.Decoder(kind).decode
        self._known: dict[str, str] = {}  # topic -> group, for the topics that were heard

    def decode(self, messages: Sequence[Message]) -> tuple[Readings, list[Refusal]]:
        """Return the readings in the order of arrival, and what could not be read."""
        groups: list[str] = []
        ts: list[float] = []
        values: list[Sequence[float]] = []
        sources: list[int] = []  # the message that each reading came by
        refusals: list[Refusal] = []
        for source, message in enumerate(messages):
            group = self._known.get(message.topic) or self._learn(message.topic, refusals)
            if group is None:
                continue
            for reading in self._read(message):
                if isinstance(reading, str):
                    refusals.append(Refusal(Outcome.MALFORMED, message.topic, reading))
                    continue
                groups.append(group)
                ts.append(reading[0])
                values.append(reading[1])
                sources.append(source)
        return _columns(messages, groups, ts, values, sources, self._features), refusals

    def forget(self, group: str) -> None:
        """Drop what is remembered of a group's topic."""
        for template in self._templates:
            if len(template.names) == group.count("/") + 1:
                self._known.pop(template.topic(group), None)

    def _learn(self, topic: str, refusals: list[Refusal]) -> str | None:
        """Return the group of a topic that isn't known yet, or say why it has none."""
        if len(topic) > _MAX_TOPIC_LENGTH:
            reason = f"the topic has {len(topic)} characters, expected at most {_MAX_TOPIC_LENGTH}"
            refusals.append(Refusal(Outcome.UNMATCHED, topic[:_MAX_TOPIC_LENGTH], reason))
            return None
        for template in self._templates:
            group = template.group(topic)
            if group is not None:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[topic] = group
                return group
        reason = "the topic fits no template of input.topics"
        refusals.append(Refusal(Outcome.UNMATCHED, topic, reason))
        return None

    def _read(self, message: Message) -> Sequence[tuple[float, Sequence[float]] | str]:
        """Return each reading of a message, or the reason why it is none."""
        payload = message.payload
        if len(payload) > _MAX_PAYLOAD_BYTES:
            return [f"the payload has {len(payload)} bytes, expected at most {_MAX_PAYLOAD_BYTES}"]
        try:
            content = self._decode_any(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._read_parts(message, _say(error))
        if not isinstance(content, list):
            return [self._check(content, message.stamp)]
        if not content:
            return ["an empty array; expected at least one reading"]
        return [self._check(item, None) for item in content]

    def _read_parts(self, message: Message, reason: str) -> list[tuple[float, Sequence[float]] | str]:
        """Read an array element by element, so that a bad one doesn't take the good ones with it."""
        try:
            parts = self._decode_parts(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return [reason]
        readings: list[tuple[float, Sequence[float]] | str] = []
        for part in parts:
            try:
                readings.append(self._check(self._decode_one(part), None))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                readings.append(_say(error))
        return readings

    def _check(self, content: Any, stamp: float | None) -> tuple[float, Sequence[float]] | str:
        ts, *values = self._get(content)
        if not (min(values) >= -_LARGEST_VALUE and max(values) <= _LARGEST_VALUE):
            wrong = next(value for value in values if not readable(value))
            return f"a value of {wrong:g}, expected at most {_LARGEST_VALUE:g} either way"
        if ts is msgspec.UNSET:
            if stamp is None:
                return "no ts; expected one in each element of an array"
            return stamp, values
        if type(ts) is float and 0 <= ts <= _MILLISECONDS_ABOVE:  # nearly always
            return ts, values
        try:
            return parse_ts(ts), values
        except ValueError as error:
            return str(error)


def _columns(
    messages: Sequence[Message],
    groups: list[str],
    ts: list[float],
    values: list[Sequence[float]],
    sources: list[int],
    features: int,
) -> Readings:
    """Return readings with what is known of the message that each came by."""
    count = len(ts)
    rows = np.array(sources, dtype=np.intp)
    stamps = np.array([message.stamp for message in messages], dtype=np.float64)[rows]
    arrived = np.array([message.arrived_at for message in messages], dtype=np.float64)[rows]
    times = np.array(ts, dtype=np.float64)
    return Readings(
        groups=groups,
        ts=times,
        values=np.fromiter(chain.from_iterable(values), np.float64, count * features).reshape(
            count, features
        ),
        # A reading that takes its time of arrival for its own is never ahead of the clock.
        arrived_at=np.where(times == stamps, stamps, arrived),
        received=np.array([message.received for message in messages], dtype=np.float64)[rows],
        redelivered=np.array([message.redelivered for message in messages], dtype=np.bool_)[rows],
    )


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
