"""Topic and payload -> readings, or a named reason why not."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from monitor.core.arrays import FloatArray
from monitor.core.messages import InboundMessage
from monitor.core.readings import MAX_VALUE, Arrivals, Outcome, Readings, RejectedReading, is_readable
from monitor.core.times import MILLISECONDS_THRESHOLD, parse_ts
from monitor.core.topics import Template
from monitor.ingest import columns
from monitor.ingest.columns import DecodedRow
from monitor.ingest.formats.json_object import build_payload_type, resolve_paths

__all__ = ["DecodeStage"]

# An array of several thousand readings fits; what is larger is no plant's message.
_MAX_PAYLOAD_BYTES = 1 << 20
# The group's name goes into topics of our own, and MQTT ends at 65,535 bytes.
_MAX_TOPIC_LENGTH = 1000
# Rows of a batch up to which they are checked one by one, 1 µs each: the calls for a table take 8 however few
# they are.
_MAX_ROWS_ONE_BY_ONE = 4
# Topics of groups that are gone are forgotten one by one; this is for those whose readings were all refused.
_MAX_CACHED_TOPICS = 1 << 17
# Ten times the groups of a large plant: with fewer, most topics find their trace wiped out by another's, and
# each costs 0.8 µs more. It is 4 MB, of which as much is taken as is used.
_FINGERPRINT_SLOTS = 1 << 20
_FINGERPRINT_SHIFT = 33  # the upper half of the hash, with its sign: what the place doesn't tell

_DecodedRows = tuple[list[str], list[DecodedRow], Sequence[int]]
"""Of each row: its group, what it holds, and the message that it came by, a `range` where each is one row."""


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
        reading_type, payload, self._to_row = build_payload_type(resolve_paths(features, fields), features)
        self._reading_type = reading_type
        self._row_width = 1 + len(features)
        self._decode_payload = msgspec.json.Decoder(payload).decode
        self._decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._decode_element = msgspec.json.Decoder(reading_type).decode
        self._group_by_topic: dict[str, str] = {}  # topic -> group, for the topics that were heard twice
        self._fingerprints = array("i", bytes(4 * _FINGERPRINT_SLOTS))  # traces of those that were heard once

    def decode(
        self, messages: Sequence[InboundMessage], arrivals: Arrivals
    ) -> tuple[Readings, list[RejectedReading]]:
        """Return the readings in the order of arrival, and what could not be read in any order."""
        rejected: list[RejectedReading] = []
        decoded = self._decode_uniform(messages) or self._decode_each(messages, rejected)
        (groups, _, sources), table = self._validate(messages, arrivals, decoded, rejected)
        return columns.build_readings(messages, arrivals, groups, table, sources), rejected

    def _decode_uniform(self, messages: Sequence[InboundMessage]) -> _DecodedRows | None:
        """Read a batch of single readings of known topics; None where one of them is anything else.

        Nearly all batches are such, and each message costs 0.3 µs less than one that is looked at by itself.
        """
        groups = [self._group_by_topic.get(topic) for topic, _, _, _ in messages]
        payloads = [payload for _, payload, _, _ in messages]
        if None in groups or max(map(len, payloads), default=0) > _MAX_PAYLOAD_BYTES:
            return None
        try:
            contents = list(map(self._decode_payload, payloads))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if set(map(type, contents)) != {self._reading_type}:
            return None
        return cast("list[str]", groups), list(map(self._to_row, contents)), range(len(messages))

    def _decode_each(
        self, messages: Sequence[InboundMessage], rejected: list[RejectedReading]
    ) -> _DecodedRows:
        """Read any batch, and say what can't be read."""
        groups: list[str] = []
        rows: list[DecodedRow] = []
        message_indices: list[int] = []
        group_by_topic, to_row, reading_type = self._group_by_topic, self._to_row, self._reading_type
        for message_index, (topic, payload, _, _) in enumerate(messages):
            group = group_by_topic.get(topic) or self._match_templates(topic, rejected)
            if group is None:
                continue
            content = self._read_payload(topic, payload, rejected)
            if type(content) is reading_type:
                groups.append(group)
                rows.append(to_row(content))
                message_indices.append(message_index)
            else:
                items = [_mark_missing_ts(to_row(item)) for item in content]
                groups += [group] * len(items)
                rows += items
                message_indices += [message_index] * len(items)
        return groups, rows, message_indices

    def forget(self, group: str) -> None:
        """Drop what is remembered of a group's topic."""
        for template in self._templates:
            if len(template.names) == group.count("/") + 1:
                self._group_by_topic.pop(template.topic(group), None)

    def _match_templates(self, topic: str, rejected: list[RejectedReading]) -> str | None:
        """Return the group of a topic that isn't known yet, or say why it has none."""
        if len(topic) > _MAX_TOPIC_LENGTH:
            reason = f"the topic has {len(topic)} characters, expected at most {_MAX_TOPIC_LENGTH}"
            rejected.append(RejectedReading(Outcome.UNMATCHED, topic[:_MAX_TOPIC_LENGTH], reason))
            return None
        for template in self._templates:
            group = template.group(topic)
            if group is not None:
                self._cache_topic(topic, group)
                return group
        reason = "the topic fits no template of input.topics"
        rejected.append(RejectedReading(Outcome.UNMATCHED, topic, reason))
        return None

    def _cache_topic(self, topic: str, group: str) -> None:
        """Keep a topic that is heard for the second time: of those heard once there is no end."""
        slot, fingerprint = hash(topic) % _FINGERPRINT_SLOTS, hash(topic) >> _FINGERPRINT_SHIFT
        if self._fingerprints[slot] != fingerprint:
            self._fingerprints[slot] = fingerprint
            return
        if len(self._group_by_topic) >= _MAX_CACHED_TOPICS:
            self._group_by_topic.clear()
        self._group_by_topic[topic] = group

    def _read_payload(self, topic: str, payload: bytes, rejected: list[RejectedReading]) -> Any:
        """Return what a payload holds: one item, or a list of those of an array that can be read."""
        if len(payload) > _MAX_PAYLOAD_BYTES:
            reason = f"the payload has {len(payload)} bytes, expected at most {_MAX_PAYLOAD_BYTES}"
            rejected.append(RejectedReading(Outcome.MALFORMED, topic, reason))
            return []
        try:
            content = self._decode_payload(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            reason = _format_error(error) if payload else "the payload is empty; expected a JSON object"
            return self._read_elements(topic, payload, reason, rejected)
        if content == []:
            reason = "an empty array; expected at least one reading"
            rejected.append(RejectedReading(Outcome.MALFORMED, topic, reason))
        return content

    def _read_elements(
        self, topic: str, payload: bytes, reason: str, rejected: list[RejectedReading]
    ) -> list[Any]:
        """Read an array element by element, so that a bad one doesn't take the good ones with it."""
        try:
            elements = self._decode_elements(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            rejected.append(RejectedReading(Outcome.MALFORMED, topic, reason))
            return []
        items = []
        for element in elements:
            try:
                items.append(self._decode_element(element))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                rejected.append(RejectedReading(Outcome.MALFORMED, topic, _format_error(error)))
        return items

    def _validate(
        self,
        messages: Sequence[InboundMessage],
        arrivals: Arrivals,
        decoded: _DecodedRows,
        rejected: list[RejectedReading],
    ) -> tuple[_DecodedRows, FloatArray]:
        """Give each row its event time in seconds, and take out what is no reading; return the table, too."""
        groups, rows, message_indices = decoded
        suspect_rows: Sequence[int] = range(len(rows))
        if len(rows) > _MAX_ROWS_ONE_BY_ONE and not {type(row[0]) for row in rows} - {float}:
            table = columns.stack_rows(rows, self._row_width)
            suspect_rows = columns.find_suspect_rows(table, MILLISECONDS_THRESHOLD, MAX_VALUE)
            if not suspect_rows:
                return decoded, table
        invalid = set()
        for index in suspect_rows:
            message_index = message_indices[index]
            checked = _validate_row(rows[index], float(arrivals.substitute_ts[message_index]))
            if isinstance(checked, str):
                rejected.append(RejectedReading(Outcome.MALFORMED, messages[message_index][0], checked))
                invalid.add(index)
            else:
                rows[index] = checked
        if invalid:
            valid = [index for index in range(len(rows)) if index not in invalid]
            groups, rows = [groups[index] for index in valid], [rows[index] for index in valid]
            message_indices = [message_indices[index] for index in valid]
        return (groups, rows, message_indices), columns.stack_rows(rows, self._row_width)


def _mark_missing_ts(row: DecodedRow) -> DecodedRow:
    """Mark the row of an array's element that has no event time: it has no time of arrival of its own."""
    return row if row[0] is not msgspec.UNSET else (None, *row[1:])


def _validate_row(row: DecodedRow, substitute_ts: float) -> DecodedRow | str:
    """Return a row with its event time in seconds, or why it is no reading."""
    ts, *values = row
    for value in values:
        if not is_readable(value):
            return f"a value of {value:g}, expected at most {MAX_VALUE:g} either way"
    if ts is None:
        return "no ts; expected one in each element of an array"
    if ts is msgspec.UNSET:
        return (substitute_ts, *values)
    try:
        return (parse_ts(ts), *values)
    except ValueError as error:
        return str(error)


def _format_error(error: Exception) -> str:
    """Return the decoder's message, with the name that people have for its commonest cause."""
    text = str(error)
    return f"{text}: a number in quotes?" if "`float`, got `str`" in text else text
