"""The messages by which recorded values came, built again from a recording and the settings' sources."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.cli.payload_builder import build_number, fill_record, to_payload
from monitor.cli.replayed_messages import ReplayedMessage
from monitor.config.settings import Settings
from monitor.core.errors import RecordingError
from monitor.core.readings import Arrivals
from monitor.core.topics import FEATURE_NAME
from monitor.ingest.source import FeatureRules, Source
from monitor.recordings.values import ValueRecording
from monitor.service.settings_to_recordings import build_value_decoder
from monitor.service.settings_to_sources import build_sources

__all__ = ["ValueMessages"]

# Of a value that scale and offset don't give exactly, as somebody has rounded it since it was recorded.
_MAX_ROUNDING = 1e-9
# Of an event time, in seconds: a microsecond, as far as any payload tells times.
_MAX_ROUNDING_S = 1e-6
_SUPPORTED_FORMATS = frozenset({"json", "number"})


@dataclass(frozen=True, slots=True)
class _Value:
    """One recorded value."""

    row: int
    topic: str
    group: str
    feature: str
    ts: float
    value: float
    sent_at: float


@dataclass(frozen=True, slots=True)
class _Sender:
    """The source by which a value came, and its feature there."""

    source: Source
    rules: FeatureRules
    format: str


class ValueMessages:
    """One message for the values that came by one message, on its topic and in its source's format.

    Each payload is read back by the sources before it is published: it must give the recorded values
    but for rounding.

    Parameters
    ----------
    recording : the recording to publish.
    settings : of the monitor that listens.

    Raises
    ------
    RecordingError : the recording has no topics, or can't be read.
    ConfigurationError : the settings have no sources, or they don't fit the recording.
    """

    noun = "message"

    def __init__(self, recording: ValueRecording, settings: Settings) -> None:
        recording.require_topics()
        sources = settings.input.sources
        names = dict.fromkeys(
            name for source in sources for name in [*source.features, source.feature] if name
        )
        for block in recording.blocks():
            names.update(dict.fromkeys(filter(None, block.features)))
        self._features = list(names)
        self._decoder = build_value_decoder(settings, self._features)
        self._sources = list(
            zip(build_sources(sources, self._features), [source.format for source in sources], strict=True)
        )
        self._recording = recording
        self._senders: dict[tuple[str, str, str], _Sender] = {}
        self.path = recording.path
        self.first_problem = ""
        self.usable_count = 0

    def check(self) -> None:
        """Raise an error unless each topic's payloads can be built, before anything is published.

        Raises
        ------
        RecordingError : the first value that can't be published, with the reason.
        """
        for value in self._values():
            self._find_sender(value)

    def __iter__(self) -> Iterator[ReplayedMessage]:
        """Yield the messages in the recording's order."""
        pending: list[_Value] = []
        for value in self._values():
            if pending and not _is_of_message(pending, value):
                yield self._build(pending)
                pending = []
            pending.append(value)
        if pending:
            yield self._build(pending)

    def _values(self) -> Iterator[_Value]:
        """Yield the values; unreadable ones are left out."""
        for block in self._recording.blocks():
            invalid = set(block.find_invalid())
            if invalid:
                self.first_problem = self.first_problem or block.describe_problem(min(invalid))
            sent_at = np.where(np.isinf(block.arrived_at), block.ts, block.arrived_at)
            columns = zip(
                block.topics,
                block.groups,
                block.features,
                block.ts.tolist(),
                block.values.tolist(),
                sent_at.tolist(),
                strict=True,
            )
            for index, cells in enumerate(columns):
                if index not in invalid:
                    yield _Value(block.first_row + index, *cells)

    def _find_sender(self, value: _Value) -> _Sender:
        """Return the source by which a value came.

        Raises
        ------
        RecordingError : there is none, or its payloads can't be built from single values.
        """
        key = (value.topic, value.group, value.feature)
        sender = self._senders.get(key)
        if sender is None:
            candidates = self._find_candidates(value)
            if not candidates:
                raise self._error(
                    value, f"no source of input.sources gives {value.feature} of {value.group!r}"
                )
            sender = next((candidate for candidate in candidates if _can_build(candidate)), None)
            if sender is None:
                raise self._error(
                    value,
                    f'the payloads of its source (format = "{candidates[0].format}") can\'t be built again '
                    "from single values; expected a number, or one JSON object with a path for each feature",
                )
            self._senders[key] = sender
        return sender

    def _find_candidates(self, value: _Value) -> list[_Sender]:
        index = self._features.index(value.feature)
        senders = []
        for source, source_format in self._sources:
            parts = source.template.match(value.topic)
            if parts is None:
                continue
            names = dict(zip(source.template.names, parts, strict=True))
            rules = _find_rules(source, names.get(FEATURE_NAME, ""), index)
            if rules is not None and _can_name(source, names, value.group):
                senders.append(_Sender(source, rules, source_format))
        return senders

    def _build(self, values: Sequence[_Value]) -> ReplayedMessage:
        """Return the message of some values of one topic and one time."""
        first, content = values[0], None
        payload: bytes | None = None
        for value in values:
            sender = self._find_sender(value)
            try:
                if sender.format == "number":
                    payload = build_number(sender.source, sender.rules, value.value)
                    continue
                content = fill_record(
                    content,
                    sender.source,
                    sender.rules,
                    group=value.group,
                    ts=value.ts,
                    value=value.value,
                )
            except ValueError as error:
                raise self._error(value, str(error)) from None
        payload = to_payload(content) if payload is None else payload
        self._check_payload(values, payload)
        self.usable_count += 1
        return ReplayedMessage(first.sent_at, first.topic, payload)

    def _check_payload(self, values: Sequence[_Value], payload: bytes) -> None:
        """Raise an error unless the settings' sources read a payload back to the recorded values."""
        first = values[0]
        arrival = np.array([first.ts])
        decoded = self._decoder.decode(
            [(first.topic, payload, None, 0)], Arrivals(arrival, arrival, np.zeros(1))
        )
        found: dict[tuple[str, str], tuple[float, float]] = {}
        if decoded.values is not None:
            found = {
                (group, self._features[feature]): (ts, number)
                for group, feature, ts, number in zip(
                    decoded.values.groups,
                    decoded.values.features.tolist(),
                    decoded.values.ts.tolist(),
                    decoded.values.values.tolist(),
                    strict=True,
                )
            }
        expected = {(value.group, value.feature): (value.ts, value.value) for value in values}
        if found.keys() != expected.keys() or not all(
            _is_same(found[key], expected[key]) for key in expected
        ):
            raise self._error(first, f"the settings read {payload.decode()[:200]} as other values or times")

    def _error(self, value: _Value, reason: str) -> RecordingError:
        return RecordingError(f"{self.path}: row {value.row}: topic {value.topic!r}: {reason}")


def _is_same(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Return whether event times and values are the same but for rounding."""
    (first_ts, first_value), (second_ts, second_value) = first, second
    is_same_value = math.isclose(first_value, second_value, rel_tol=_MAX_ROUNDING, abs_tol=_MAX_ROUNDING) or (
        math.isnan(first_value) and math.isnan(second_value)
    )
    return is_same_value and abs(first_ts - second_ts) <= _MAX_ROUNDING_S


def _is_of_message(pending: Sequence[_Value], value: _Value) -> bool:
    """Return whether a value came by the same message as those before, as far as a recording tells."""
    first = pending[0]
    return (first.topic, first.ts, first.sent_at) == (value.topic, value.ts, value.sent_at) and not any(
        (other.group, other.feature) == (value.group, value.feature) for other in pending
    )


def _can_build(sender: _Sender) -> bool:
    source = sender.source
    return sender.format in _SUPPORTED_FORMATS and source.key is None and source.records is None


def _find_rules(source: Source, feature_name: str, index: int) -> FeatureRules | None:
    """Return the rules of the feature with an index, if the source gives it on the topic with this name."""
    if source.feature is not None:
        candidates = [source.feature]
    elif source.features:
        candidates = list(source.features)
    elif source.key is not None:
        candidates = list(source.features_by_key.values())
    else:
        candidates = [rules for rules in [source.features_by_key.get(feature_name)] if rules is not None]
    return next((rules for rules in candidates if rules.index == index), None)


def _can_name(source: Source, names: dict[str, str], group: str) -> bool:
    """Return whether a source's records on a topic with these names may be of a group."""
    if source.group or source.group_path is not None:
        return source.group in ("", group)
    named = "/".join(text for name, text in names.items() if name != FEATURE_NAME)
    return group == named or (source.records is not None and group.startswith(named))
