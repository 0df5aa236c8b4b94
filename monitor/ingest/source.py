"""Sources: which values of which group the messages on a topic hold."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from monitor.core.readings import MAX_VALUE, is_readable, to_float
from monitor.core.topics import FEATURE_NAME, Template
from monitor.ingest.event_time import EventTimeRules
from monitor.ingest.limits import MAX_BAD_ELEMENTS, MAX_ELEMENTS, MAX_TOPIC_LENGTH
from monitor.ingest.paths import MISSING, Path, describe_path, follow

__all__ = ["Conditions", "FeatureRules", "Record", "Source", "SourceError", "Topic"]

_MAX_SHOWN_CHARACTERS = 60


class SourceError(ValueError):
    """A message, or a part of it, can't be read; the text says why."""


Conditions = tuple[tuple[Path, tuple[Any, ...]], ...]
"""(path, accepted values): a record must have one of the values there. `MISSING` among them accepts a record
that has nothing there."""


@dataclass(frozen=True, slots=True)
class FeatureRules:
    """One feature that a source gives."""

    index: int
    """Index of the feature, in the bundle's order."""
    path: Path
    """Where its value is in a record."""
    scale: float = 1.0
    offset: float = 0.0
    """The value is `scale` times the number in the record, plus `offset`."""
    good: Conditions = ()
    """The value is absent unless these hold."""


class Topic(NamedTuple):
    """A topic on which messages of a source come."""

    text: str
    names: Mapping[str, str]
    """What the names of the source's template stand for."""


@dataclass(slots=True)
class Record:
    """What one record of a payload says."""

    group: str
    ts: float | None
    """Event time, seconds since the Unix epoch; None if the record has none."""
    values: list[tuple[int, float]] = field(default_factory=list)
    """(index of the feature, value), with NaN where the sender says that there is none."""
    errors: list[str] = field(default_factory=list)
    """Why some of the record's values can't be read."""
    absences: list[str] = field(default_factory=list)
    """Which values are NaN, and what the sender says in their place."""


@dataclass(frozen=True, slots=True)
class Source:
    """The messages on the topics of one template: their format, and what their records mean."""

    template: Template
    parse: Callable[[bytes], Any]
    """Decodes a payload to plain data; raises ValueError with a reason."""
    features: tuple[FeatureRules, ...] = ()
    """The features of a record that has several: each by the path of its value."""
    features_by_key: Mapping[str, FeatureRules] = field(default_factory=dict)
    """The features of records that name what they hold: by the text at `key`; of topics that do so: by the
    text that `{feature}` stands for."""
    key: Path | None = None
    """Where a record names the feature; None if the topic does, or if records have several features."""
    feature: FeatureRules | None = None
    """The feature of a source that has one only."""
    records: tuple[str | int, ...] | None = None
    """Where the array of records is; None: the payload is one record, or an array of records. A key such as
    `{device}` stands for any key, and its name becomes a part of the group."""
    group: str = ""
    """The name of the group, if all records are of the same; "" if topics or records name it."""
    group_path: Path | None = None
    """Where a record, or the payload, names the group; None if it doesn't."""
    ts_path: Path | None = None
    """Where a record, or the payload, has the event time; None if it has none."""
    event_time: EventTimeRules = field(default_factory=EventTimeRules)
    where: Conditions = ()
    """A record belongs to another source unless these hold."""
    good: Conditions = ()
    """All values of a record are absent unless these hold."""
    absent: frozenset[str] = frozenset()
    """Texts that say that a sensor has no value."""
    accepts_text_numbers: bool = False
    """Whether a number may be in quotes."""
    is_partial: bool = False
    """Whether a record may lack features, which says nothing of them."""
    needs_record_ts: bool = False
    """Whether the settings say where records have event times, so that one in an array must have it."""
    is_plain_number: bool = False
    """Whether a payload is one number as text and nothing else."""
    is_json: bool = False
    """Whether payloads are JSON."""

    def topics_of(self, group: str) -> Iterator[str]:
        """Yield the topics of a group, as far as its name tells them."""
        names = [name for name in self.template.names if name != FEATURE_NAME]
        parts = group.split("/")
        if self.group or self.group_path is not None or len(parts) != len(names):
            return
        part_by_name = dict(zip(names, parts, strict=True))
        for feature in self.features_by_key if FEATURE_NAME in self.template.names else ("",):
            yield self.template.fill([part_by_name.get(name, feature) for name in self.template.names])

    def read(self, topic: Topic, payload: bytes) -> Iterator[Record]:
        """Return what each record of a message says.

        Raises
        ------
        SourceError : the message can't be read at all.
        """
        try:
            content = self.parse(payload)
        except ValueError as error:
            raise SourceError(str(error)) from None
        yield from self.read_content(topic, content)

    def read_content(self, topic: Topic, content: Any) -> Iterator[Record]:
        """Return what each record of a decoded payload says.

        Raises
        ------
        SourceError : it has no record, too many, or too many that can't be read.
        """
        found = list(islice(self._find_records(content), MAX_ELEMENTS + 1))
        if len(found) > MAX_ELEMENTS:
            raise SourceError(f"it has more than {MAX_ELEMENTS} records")
        if not found and not self.is_partial:
            raise SourceError("it has no record; expected at least one")
        in_array, bad = isinstance(content, list) or self.records is not None, 0
        for index, (names, record) in enumerate(found):
            if not _holds(record, self.where):
                continue
            needs_ts = in_array and (self.needs_record_ts or (bool(self.features) and len(found) > 1))
            result = self._read_record(topic, names, content, record, needs_ts=needs_ts)
            if len(found) > 1:  # of hundreds of tags somebody must find the one
                result.errors = [f"record {index}: {reason}" for reason in result.errors]
            bad += bool(result.errors)
            if bad > MAX_BAD_ELEMENTS:
                raise SourceError(
                    f"more than {MAX_BAD_ELEMENTS} of its records can't be read: {result.errors[0]}"
                )
            yield result

    def _find_records(self, content: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Return the records of a payload, each with the keys that became names."""
        if self.records is None:
            yield from (((), record) for record in (content if isinstance(content, list) else [content]))
            return
        yield from _expand((), content, self.records)

    def _read_record(
        self, topic: Topic, record_names: tuple[str, ...], content: Any, record: Any, *, needs_ts: bool
    ) -> Record:
        try:
            group = self._find_group(topic, record_names, content, record)
            ts = self._find_ts(content, record)
        except ValueError as error:
            return Record("", None, errors=[str(error)])
        if ts is None and needs_ts:
            where = "ts" if self.ts_path is None else describe_path(self.ts_path)
            return Record(group, None, errors=[f"no {where}; expected one in each element of an array"])
        result = Record(group, ts)
        is_good = _holds(record, self.good)
        for rules in self._find_features(topic, record, result):
            found = follow(record, rules.path)
            if found is MISSING and self.is_partial:
                continue
            if not is_good or not _holds(record, rules.good):
                result.values.append((rules.index, float("nan")))  # whatever stands there, null too
                result.absences.append(f"{describe_path(rules.path)} isn't good")
                continue
            try:
                value = self._read_value(found, rules)
            except SourceError as error:
                result.errors.append(f"{describe_path(rules.path)} {error}")
                continue
            if value is not None:
                result.values.append((rules.index, value))
                if math.isnan(value):
                    shown = "null" if found is None else f"{found[:_MAX_SHOWN_CHARACTERS]!r}, as in absent"
                    result.absences.append(f"{describe_path(rules.path)} is {shown}")
        return result

    def _find_features(self, topic: Topic, record: Any, result: Record) -> tuple[FeatureRules, ...]:
        """Return the features that a record holds; none if it holds only what isn't asked for."""
        if self.feature is not None:
            return (self.feature,)
        if self.features:
            return self.features
        name = topic.names.get(FEATURE_NAME) if self.key is None else follow(record, self.key)
        if name is MISSING or not isinstance(name, str | int):
            result.errors.append(f"{describe_path(self.key or ())} is missing; expected the name of a value")
            return ()
        rules = self.features_by_key.get(str(name))
        return () if rules is None else (rules,)

    def _find_group(self, topic: Topic, record_names: tuple[str, ...], content: Any, record: Any) -> str:
        if self.group:
            return self.group
        if self.group_path is None:
            names = [text for name, text in topic.names.items() if name != FEATURE_NAME]
            if not record_names:
                return "/".join(names)
            return _check_group("a key", "/".join([*names, *record_names]))
        found = follow(record, self.group_path)
        if found is MISSING:
            found = follow(content, self.group_path)
        place = describe_path(self.group_path)
        if isinstance(found, bool) or not isinstance(found, str | int):
            shown = "missing" if found is MISSING else repr(found)[:_MAX_SHOWN_CHARACTERS]
            raise SourceError(f"{place} is {shown}; expected the group: text or an integer")
        return _check_group(place, str(found))

    def _find_ts(self, content: Any, record: Any) -> float | None:
        if self.ts_path is None:
            return None
        found = follow(record, self.ts_path)
        if found is MISSING:
            found = follow(content, self.ts_path)
        return None if found is MISSING or found is None else self.event_time.parse(found)

    def _read_value(self, found: Any, rules: FeatureRules) -> float | None:
        """Return a value, NaN if it is absent, None if the record says nothing of it.

        Raises
        ------
        SourceError : there is something that is no number.
        """
        if isinstance(found, str):
            if found in self.absent or found.strip() in self.absent:
                return float("nan")
            found = _text_to_number(found, accepts_text_numbers=self.accepts_text_numbers)
        elif found is None:
            return None if self.is_partial else float("nan")
        elif found is MISSING:
            raise SourceError("is missing; expected a number")
        elif isinstance(found, bool) or not isinstance(found, int | float):
            raise SourceError(f"is {repr(found)[:_MAX_SHOWN_CHARACTERS]}; expected a number")
        number = to_float(found)
        value = number * rules.scale + rules.offset
        if not is_readable(value):
            raise SourceError(f"is {number:g}; expected a number of at most {MAX_VALUE:g} either way")
        return value


def _holds(record: Any, conditions: Conditions) -> bool:
    return all(follow(record, path) in accepted for path, accepted in conditions)


def _expand(names: tuple[str, ...], content: Any, path: tuple[str | int, ...]) -> Iterator[Any]:
    """Return the records at the end of a path, whose names stand for any key: (names, record)."""
    if isinstance(content, list) and not (path and isinstance(path[0], int)):
        for element in content:
            yield from _expand(names, element, path)
    elif not path:
        yield names, content
    elif isinstance(path[0], str) and path[0].startswith("{") and isinstance(content, dict):
        for key, element in content.items():
            yield from _expand((*names, str(key)), element, path[1:])
    elif (found := follow(content, path[:1])) is not MISSING:
        yield from _expand(names, found, path[1:])


def _check_group(place: str, text: str) -> str:
    """Return a group's name that a payload gives; the monitor's own topics will hold it.

    Raises
    ------
    SourceError : it can't be part of a topic, or is too long.
    """
    shown = repr(text)[:_MAX_SHOWN_CHARACTERS]
    if any(character in text for character in "+#\0") or "" in text.split("/"):
        raise SourceError(f"{place} is {shown}; expected the group: text without +, # and empty parts")
    if len(text) > MAX_TOPIC_LENGTH:
        raise SourceError(f"{place} is {shown}...; expected the group: at most {MAX_TOPIC_LENGTH} characters")
    return text


def _text_to_number(text: str, *, accepts_text_numbers: bool) -> float:
    try:
        number = float(text)
    except ValueError:
        shown = text[:_MAX_SHOWN_CHARACTERS]
        raise SourceError(f"is {shown!r}; expected a number, or this text in absent") from None
    if not accepts_text_numbers or "_" in text:
        raise SourceError(f'is {text[:40]!r}, a number in quotes; expected a number, or numbers = "text"')
    return number
