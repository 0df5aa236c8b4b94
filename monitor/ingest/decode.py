"""Messages (topic and payload) -> readings, and a reason for each reading that is rejected."""

from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import msgspec

from monitor.core.arrays import FloatArray
from monitor.core.messages import RETAIN_FLAG, InboundMessage
from monitor.core.readings import MAX_VALUE, Arrivals, Outcome, RejectedReading, is_readable
from monitor.core.times import MILLISECONDS_THRESHOLD, parse_ts
from monitor.core.topics import OwnTopics, Template
from monitor.ingest import columns
from monitor.ingest.columns import DecodedRow
from monitor.ingest.decode_errors import explain_error, strip_padding
from monitor.ingest.decoded_messages import DecodedMessages
from monitor.ingest.formats.json_object import build_payload_type, resolve_paths
from monitor.ingest.limits import (
    MAX_BAD_ELEMENTS,
    MAX_CACHED_TOPICS,
    MAX_ELEMENTS,
    MAX_PAYLOAD_BYTES,
    MAX_TOPIC_LENGTH,
    RETAINED_REASON,
)

__all__ = ["DecodeStage"]

# Up to this many rows are validated one by one, at 1 µs per row. Validating an array takes 8 µs, however few
# rows it has.
_MAX_ROWS_ONE_BY_ONE = 4
# Ten times the number of groups of a large plant. With fewer slots most fingerprints are overwritten by those
# of other topics before they are found, and each message costs 0.8 µs more. 4 MB of virtual memory, of which
# only the pages in use take physical memory.
_FINGERPRINT_SLOTS = 1 << 20
_FINGERPRINT_SHIFT = 33  # leaves the upper 31 bits of the hash with its sign; the slot comes from lower bits
# Commas in an array that is decoded element by element: ten thousand readings of 15 fields. Counting them
# takes 0.3 to 5 ms per MiB, decoding half a million elements 100.
_MAX_COMMAS = 15 * MAX_ELEMENTS

_DecodedRows = tuple[list[str], list[DecodedRow], Sequence[int]]
"""The group of each row, the rows, and the index of each row's message: a `range` if each message is one
row."""


class DecodeStage:
    """Decodes batches of messages into readings.

    Parameters
    ----------
    templates : the input templates; at most one of them matches any topic.
    features : the bundle's feature names in order.
    fields : feature or `ts` -> dotted path in the payload, for those whose path is not their own name.
    own_topics : the topics that the monitor publishes on, whose messages are ignored.

    Raises
    ------
    ValueError : `fields` has a key that is no feature, or two paths collide.
    """

    def __init__(
        self,
        templates: Sequence[Template],
        features: Sequence[str],
        fields: Mapping[str, str],
        own_topics: OwnTopics,
    ) -> None:
        self._templates = templates
        self._own_topics = own_topics
        paths = resolve_paths(features, fields)
        self._reading_type, payload_type, self._to_row = build_payload_type(paths, features)
        self._row_width = 1 + len(features)
        self._decode_payload = msgspec.json.Decoder(payload_type).decode
        self._decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._decode_element = msgspec.json.Decoder(self._reading_type).decode
        self._group_by_topic: dict[str, str] = {}  # cache of the topics that were received at least twice
        self._fingerprints = array("i", bytes(4 * _FINGERPRINT_SLOTS))  # of topics received once: (slot,)

    def decode(self, messages: Sequence[InboundMessage], arrivals: Arrivals) -> DecodedMessages:
        """Return the readings in the order of arrival, and the rejected readings in no particular order."""
        rejected: list[RejectedReading] = []
        decoded = self._decode_uniform(messages) or self._decode_each(messages, rejected)
        (groups, _, sources), table = self._validate(messages, arrivals, decoded, rejected)
        readings = columns.build_readings(messages, arrivals, groups, table, sources)
        return DecodedMessages(readings, rejected)

    def _decode_uniform(self, messages: Sequence[InboundMessage]) -> _DecodedRows | None:
        """Decode a batch in which each message is one reading, that can be decoded, on a cached topic.

        Nearly all batches are such, and each message costs 0.3 µs less than in `_decode_each`.

        Returns
        -------
        The rows, or None if some message is anything else.
        """
        groups = [self._group_by_topic.get(topic) for topic, _, _, _ in messages]
        payloads = [payload for _, payload, _, _ in messages]
        if None in groups or max(map(len, payloads), default=0) > MAX_PAYLOAD_BYTES:
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
        """Decode any batch, message by message, and append what can't be decoded to `rejected`."""
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
                element_rows = [_mark_missing_ts(to_row(element)) for element in content]
                groups += [group] * len(element_rows)
                rows += element_rows
                message_indices += [message_index] * len(element_rows)
        return groups, rows, message_indices

    def forget(self, group: str) -> None:
        """Remove the topics of a group from the cache."""
        for template in self._templates:
            if len(template.names) == group.count("/") + 1:
                self._group_by_topic.pop(template.topic(group), None)

    def _match_templates(self, topic: str, rejected: list[RejectedReading]) -> str | None:
        """Return the group of a topic that is not cached, or None after adding the reason to `rejected`."""
        if len(topic) > MAX_TOPIC_LENGTH:
            reason = f"the topic is too long, expected at most {MAX_TOPIC_LENGTH} characters"
            rejected.append(RejectedReading(Outcome.UNMATCHED, topic[:MAX_TOPIC_LENGTH], reason))
            return None
        if topic in self._own_topics:
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
        """Add a topic to the cache when it is received for the second time.

        The first time leaves a fingerprint only, because the number of topics that are received once is
        unlimited.
        """
        slot, fingerprint = hash(topic) % _FINGERPRINT_SLOTS, hash(topic) >> _FINGERPRINT_SHIFT
        if self._fingerprints[slot] != fingerprint:
            self._fingerprints[slot] = fingerprint
            return
        if len(self._group_by_topic) >= MAX_CACHED_TOPICS:
            self._group_by_topic.clear()
        self._group_by_topic[topic] = group

    def _read_payload(
        self, topic: str, payload: bytes, rejected: list[RejectedReading], *, may_be_padded: bool = True
    ) -> Any:
        """Return the decoded payload: one reading, or a list of the valid readings of an array."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            reason = f"the payload has {len(payload)} bytes, expected at most {MAX_PAYLOAD_BYTES}"
            rejected.append(RejectedReading(Outcome.MALFORMED, topic, reason))
            return []
        try:
            content = self._decode_payload(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            stripped = strip_padding(payload)
            if may_be_padded and len(stripped) < len(payload):
                return self._read_payload(topic, stripped, rejected, may_be_padded=False)
            return self._read_elements(topic, payload, error, rejected)
        if type(content) is list and not 0 < len(content) <= MAX_ELEMENTS:
            reason = f"an array of {len(content)} readings; expected at most {MAX_ELEMENTS}"
            if not content:
                reason = "an empty array; expected at least one reading"
            rejected.append(RejectedReading(Outcome.MALFORMED, topic, reason))
            return []
        return content

    def _read_elements(
        self, topic: str, payload: bytes, error: Exception, rejected: list[RejectedReading]
    ) -> list[Any]:
        """Decode an array element by element, so that a few invalid ones do not reject the valid ones.

        Parameters
        ----------
        error : why the payload as a whole can't be decoded, for a payload that is no array.
        """
        elements: list[msgspec.Raw] = []
        if payload.count(b",") <= _MAX_COMMAS:
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                elements = self._decode_elements(payload)
        if not elements or len(elements) > MAX_ELEMENTS:
            rejected.append(RejectedReading(Outcome.MALFORMED, topic, explain_error(error, payload)))
            return []
        decoded, bad = [], []
        for element in elements:
            try:
                decoded.append(self._decode_element(element))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as element_error:
                reason = explain_error(element_error, bytes(element))
                bad.append(RejectedReading(Outcome.MALFORMED, topic, reason))
                if len(bad) > MAX_BAD_ELEMENTS:
                    reason = f"more than {MAX_BAD_ELEMENTS} elements of an array can't be read: {reason}"
                    rejected.append(RejectedReading(Outcome.MALFORMED, topic, reason))
                    return []
        rejected += bad
        return decoded

    def _validate(
        self,
        messages: Sequence[InboundMessage],
        arrivals: Arrivals,
        decoded: _DecodedRows,
        rejected: list[RejectedReading],
    ) -> tuple[_DecodedRows, FloatArray]:
        """Convert each row's event time to seconds and remove rows that are no valid readings.

        Returns
        -------
        decoded : the valid rows.
        table : the same as an array (reading, 1 + feature), `ts` first.
        """
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
            topic, _, _, flags = messages[message_index]
            substitute_ts = None if flags & RETAIN_FLAG else float(arrivals.substitute_ts[message_index])
            checked = _validate_row(rows[index], substitute_ts)
            if isinstance(checked, str):
                outcome = Outcome.RETAINED if checked is RETAINED_REASON else Outcome.MALFORMED
                rejected.append(RejectedReading(outcome, topic, checked))
                invalid.add(index)
            else:
                rows[index] = checked
        if invalid:
            valid = [index for index in range(len(rows)) if index not in invalid]
            groups, rows = [groups[index] for index in valid], [rows[index] for index in valid]
            message_indices = [message_indices[index] for index in valid]
        return (groups, rows, message_indices), columns.stack_rows(rows, self._row_width)


def _mark_missing_ts(row: DecodedRow) -> DecodedRow:
    """Set `ts` to None in a row of an array's element without event time.

    The elements of an array share one arrival time, so it can't serve as their event time.
    """
    return row if row[0] is not msgspec.UNSET else (None, *row[1:])


def _validate_row(row: DecodedRow, substitute_ts: float | None) -> DecodedRow | str:
    """Return the row with its event time in seconds, or the reason why it is no valid reading.

    Parameters
    ----------
    row : its `ts` is a number or text, `UNSET` where the payload has none, None where an array's element has
        none.
    substitute_ts : event time of a reading without `ts`, seconds since the Unix epoch; None if it is
        retained: its arrival does not show when it was measured.
    """
    ts, *values = row
    for value in values:
        if not is_readable(value):
            return f"a value of {value:g}, expected at most {MAX_VALUE:g} either way"
    if ts is None:
        return "no ts; expected one in each element of an array"
    if ts is msgspec.UNSET:
        return RETAINED_REASON if substitute_ts is None else (substitute_ts, *values)
    try:
        return (parse_ts(ts), *values)
    except ValueError as error:
        return str(error)
