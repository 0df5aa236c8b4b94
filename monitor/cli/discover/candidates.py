"""The values of a survey that may be a feature, and how a source would read each topic."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from monitor.cli.discover.payloads import VALUE_NAMES, Scalar
from monitor.cli.discover.statistics import EventTimes, Series
from monitor.cli.discover.survey import Survey, Tags, TopicSurvey
from monitor.cli.discover.words import Label, Words
from monitor.ingest.paths import Path

__all__ = ["Candidate", "Layout", "Shape", "find_candidates"]

Layout = Literal["topic", "fields", "named"]
"""Where the feature's name is: in the topic, in the paths of the fields, or in each record as text."""

_NAME_SEPARATORS = re.compile(r"[./:|\\]")
# The most likely first.
_TIME_NAMES = (
    *("ts", "t", "time", "timestamp", "last_seen", "lastseen", "received_at", "datetime", "date", "utc"),
    "sourcetimestamp",
)
_GOOD_TEXTS = ("good", "ok", "192", "0")
_QUALITY_NAMES = ("q", "quality", "statuscode")
_GOOD_NUMBER = 192  # OPC DA


@dataclass(frozen=True, slots=True)
class Shape:
    """How a source reads the messages on a topic."""

    format: str
    layout: Layout
    records: Path | None = None
    key: Path | None = None
    value: Path | None = None
    """Of the layouts `topic` and `named`: where the value is."""
    ts: Path | None = None
    """Where the event time is; None if there is none."""
    ts_format: str = ""
    zone_hours: float | None = None
    """Hours by which event times without zone are ahead of UTC, if they seem to be local."""
    is_ts_quoted: bool = False
    good: tuple[Path, Scalar] | None = None
    """What a record must have, else its value is absent."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that may be a feature."""

    survey: TopicSurvey
    shape: Shape
    label: Label
    path: Path
    name: str
    """What the record calls the value, in the layout `named`."""
    tags: Tags
    """Those that differ between the records of the topic."""
    series: Series

    @property
    def topic(self) -> str:
        """The topic that it comes on."""
        return self.survey.topic

    @property
    def where(self) -> str:
        """Topic and field, for people."""
        field = self.name or ".".join(map(str, self.path))
        tags = "".join(f" {path[-1]}={text}" for path, text in self.tags)
        return self.topic if self.shape.layout == "topic" else f"{self.topic} {field}{tags}"


def find_candidates(survey: Survey, words: Words) -> list[Candidate]:
    """Return the values whose names, or whose topics' names, say that they may be a feature."""
    return [found for topic in survey.topics.values() for found in _of_topic(topic, words)]


def _of_topic(topic: TopicSurvey, words: Words) -> Iterator[Candidate]:
    numbers = {key: series for key, series in topic.series.items() if series.is_number}
    varying = _varying_tags(topic)
    if not numbers:
        return
    layout = _find_layout(topic, words)
    shape = _shape(topic, layout)
    for (name, tags, path), series in numbers.items():
        if layout == "topic":
            label = words.label(topic.topic.split("/")) if path == shape.value else None
        elif layout == "named":
            label = words.label(_NAME_SEPARATORS.split(name)) if path == shape.value else None
        else:
            label = words.label([str(part) for part in path])
        if label is not None:
            kept = tuple((tag, text) for tag, text in tags if tag in varying and text != name)
            yield Candidate(topic, shape, label, path, name if layout == "named" else "", kept, series)


def _varying_tags(topic: TopicSurvey) -> set[Path]:
    texts: dict[Path, set[str]] = defaultdict(set)
    for (_, tags, _), series in topic.series.items():
        if series.is_number:
            for path, text in tags:
                texts[path].add(text)
    return {path for path, found in texts.items() if len(found) > 1}


def _find_layout(topic: TopicSurvey, words: Words) -> Layout:
    if topic.format == "number":
        return "topic"
    paths = {path for (_, _, path), series in topic.series.items() if series.is_number}
    value_paths = [path for path in paths if str(path[-1]).lower() in VALUE_NAMES]
    is_single = topic.payload.records is None and len(value_paths) == 1 and len(topic.names) <= 1
    names_itself = any(words.label([str(part) for part in path]) for path in paths)
    if is_single and not names_itself and words.label(topic.topic.split("/")):
        return "topic"
    return "named" if topic.payload.key is not None else "fields"


def _shape(topic: TopicSurvey, layout: Layout) -> Shape:
    payload = topic.payload
    value = payload.value
    if layout == "topic":
        paths = {path for (_, _, path), series in topic.series.items() if series.is_number}
        value = next(path for path in paths if str(path[-1]).lower() in VALUE_NAMES)
    ts = _choose_event_time(topic)
    times: Any = topic.event_times.get(ts) if ts is not None else None
    return Shape(
        format=topic.format if layout != "named" or payload.format == "senml" else _keyed_format(topic),
        layout=layout,
        records=payload.records or None,
        key=payload.key if layout == "named" else None,
        value=value if layout != "fields" else None,
        ts=ts,
        ts_format="" if times is None or times.kind in {"number", "text"} else times.kind,
        zone_hours=None if times is None else times.zone_hours,
        is_ts_quoted=times is not None and times.is_quoted,
        good=_find_quality(topic),
    )


def _keyed_format(topic: TopicSurvey) -> str:
    # "records" is JSON; the other formats take a key, too.
    return "records" if topic.format == "json" else topic.format


def _choose_event_time(topic: TopicSurvey) -> Path | None:
    """Return the path of the event time: by its name, and the least nested of several."""
    by_rank: list[tuple[int, int, Path]] = []
    for path, times in topic.event_times.items():
        name = str(path[-1]).lower()
        is_known = name in _TIME_NAMES
        if _is_frequent(times, topic) and (is_known or "time" in name or "stamp" in name):
            rank = _TIME_NAMES.index(name) if is_known else len(_TIME_NAMES)
            by_rank.append((len(path), rank, path))
    return min(by_rank, key=lambda item: item[:2])[2] if by_rank else None


def _is_frequent(times: EventTimes, topic: TopicSurvey) -> bool:
    return times.count * 2 > topic.row_count


def _find_quality(topic: TopicSurvey) -> tuple[Path, Scalar] | None:
    """Return where a record says whether its value is good, and how."""
    for row in topic.payload.rows:
        for path, value in row.fields.items():
            is_good = (
                value is True
                or (type(value) is int and value == _GOOD_NUMBER)
                or (isinstance(value, str) and value.lower() in _GOOD_TEXTS)
            )
            if is_good and str(path[-1]).lower() in _QUALITY_NAMES:
                return path, value
    return None
