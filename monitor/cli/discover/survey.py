"""Collects what comes on each topic. Pure: times are arguments; bounded in memory."""

from collections import Counter
from dataclasses import dataclass, field, replace

from monitor.cli.discover.payloads import Payload, PayloadReader, Row
from monitor.cli.discover.statistics import EventTimes, Intervals, Series, read_event_time
from monitor.core.topics import OwnTopics
from monitor.ingest.paths import Path

__all__ = ["SeriesKey", "Survey", "Tags", "TopicSurvey"]

MAX_TOPICS = 5000
MAX_SERIES = 20_000  # of all topics, at 3 kB each
_MAX_SERIES_OF_TOPIC = 1000
_MAX_EVENT_TIMES, _MAX_KEPT_ROWS = 20, 8  # of a topic
_MAX_TAG_LENGTH = 60
_MAX_TOPIC_LENGTH = 1000
_TAG_NAMES = frozenset({
    "device", "deviceid", "devicename", "dev", "eui", "deveui", "station", "stationid", "rack", "node",
    "nodeid", "host", "hostname", "unit", "machine", "location", "room", "position", "sensor",
    "sensorid", "name", "id", "mac", "asset", "line", "zone", "src",
})  # fmt: skip

Tags = tuple[tuple[Path, str], ...]
"""Fields of a record that may say which device it is of: (path, text)."""
SeriesKey = tuple[str, Tags, Path]
"""Name that a record gives its value, tags of the record, path of the value."""


@dataclass(slots=True)
class TopicSurvey:
    """What came on one topic."""

    topic: str
    payload: Payload
    """The last payload that was taken apart, else the last one."""
    count: int = 0
    row_count: int = 0
    retained: bool = False
    """Whether the broker had kept a message."""
    formats: Counter[str] = field(default_factory=Counter)
    intervals: Intervals = field(default_factory=Intervals)
    series: dict[SeriesKey, Series] = field(default_factory=dict)
    event_times: dict[Path, EventTimes] = field(default_factory=dict)

    @property
    def format(self) -> str:
        """The most common format."""
        return self.formats.most_common(1)[0][0]

    @property
    def names(self) -> set[str]:
        """What the records call their values."""
        return {name for name, _, _ in self.series if name}


class Survey:
    """All that came.

    Parameters
    ----------
    reader : takes payloads apart.
    own_topics : what a monitor publishes, which is counted and nothing else.
    """

    def __init__(self, reader: PayloadReader, own_topics: OwnTopics) -> None:
        self._reader = reader
        self._own_topics = own_topics
        self._series_count = 0
        self.topics: dict[str, TopicSurvey] = {}
        self.message_count = 0
        self.own_count = 0
        """Messages that a monitor published."""
        self.left_out_topics = 0
        """Messages on topics beyond the first 5,000."""
        self.seconds = 0.0
        """For how long messages were waited for."""

    def __str__(self) -> str:
        """Return the counts in one line."""
        return f"{self.message_count:,} messages on {len(self.topics):,} topics"

    def add(self, topic: str, payload: bytes, *, retained: bool, arrived_at: float, at: float) -> None:
        """Add a message.

        Parameters
        ----------
        retained : whether the broker had kept it and sent it on subscribing.
        arrived_at : seconds since the Unix epoch.
        at : monotonic seconds.
        """
        self.message_count += 1
        if topic in self._own_topics:
            self.own_count += 1
            return
        survey = self.topics.get(topic)
        if survey is None:
            if len(self.topics) >= MAX_TOPICS or len(topic) > _MAX_TOPIC_LENGTH:
                self.left_out_topics += 1
                return
            survey = self.topics[topic] = TopicSurvey(topic, Payload(""))
        content = self._reader.read(topic, payload)
        if content.rows or not survey.payload.rows:
            survey.payload = replace(content, rows=content.rows[:_MAX_KEPT_ROWS])
        survey.count += 1
        survey.formats[content.format] += 1
        survey.retained |= retained
        if not retained:
            survey.intervals.add(at)
        for row in content.rows:
            self._add_row(survey, row, arrived_at=None if retained else arrived_at, now=arrived_at, at=at)

    def _add_row(
        self, survey: TopicSurvey, row: Row, *, arrived_at: float | None, now: float, at: float
    ) -> None:
        survey.row_count += 1
        times = {path for path in row.fields if self._add_event_time(survey, row, path, arrived_at, now)}
        tags: Tags = tuple(
            (path, value)
            for path, value in row.fields.items()
            if isinstance(value, str) and path not in times and _is_tag(path, value) and value != row.name
        )
        for path, value in row.fields.items():
            if path in times:
                continue
            key = (row.name, tags, path)
            series = survey.series.get(key)
            if series is None:
                if self._series_count >= MAX_SERIES or len(survey.series) >= _MAX_SERIES_OF_TOPIC:
                    continue
                self._series_count += 1
                series = survey.series[key] = Series()
            series.add(value, at)

    def _add_event_time(
        self, survey: TopicSurvey, row: Row, path: Path, arrived_at: float | None, now: float
    ) -> bool:
        if not path or path == ("value",):
            return False
        found = read_event_time(row.fields[path], now)
        if found is None:
            return False
        seconds, times = found
        if path not in survey.event_times and len(survey.event_times) >= _MAX_EVENT_TIMES:
            return True
        known = survey.event_times.setdefault(path, times)
        known.count += 1
        if arrived_at is not None:
            known.lead = seconds - arrived_at
        return True


def _is_tag(path: Path, value: str) -> bool:
    if not value or len(value) > _MAX_TAG_LENGTH:
        return False
    return path[0] == "tags" or str(path[-1]).lower().replace("_", "") in _TAG_NAMES
