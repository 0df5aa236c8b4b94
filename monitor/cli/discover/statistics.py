"""What is kept of the values and times of a topic: bounded, however many come."""

import statistics
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from monitor.cli.discover.payloads import Scalar
from monitor.core.times import MILLISECONDS_THRESHOLD
from monitor.ingest.event_time import EventTimeRules

__all__ = ["EventTimes", "Intervals", "Series", "read_event_time"]

_MAX_GAPS = 32
_MAX_DISTINCT = 32
_MAX_TEXTS = 8
_MAX_TEXT_LENGTH = 40
_MIN_TS = 1e8  # seconds: 1973
_MAX_LEAD_S = 400 * 86400.0
_TEXT_FORMATS = ("%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M")
_MIN_TEXT_LENGTH = 8


@dataclass(slots=True)
class Intervals:
    """Times between messages, in seconds."""

    last_at: float | None = None
    longest: float = 0.0
    _gaps: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_GAPS))

    def add(self, at: float) -> None:
        """Add a message at a monotonic time."""
        if self.last_at is not None:
            self._gaps.append(at - self.last_at)
            self.longest = max(self.longest, at - self.last_at)
        self.last_at = at

    @property
    def median(self) -> float | None:
        """The usual interval; None if there was none."""
        return statistics.median(self._gaps) if self._gaps else None


@dataclass(slots=True)
class Series:
    """The values of one field."""

    count: int = 0
    repeated: int = 0
    """Values that equal the one before."""
    low: float = float("inf")
    high: float = float("-inf")
    types: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    """The first texts that are no numbers."""
    smallest_change: float | None = None
    """Between two values one after another that differ."""
    intervals: Intervals = field(default_factory=Intervals)
    _last: Scalar = None
    _distinct: set[float] = field(default_factory=set)

    def add(self, value: Scalar, at: float) -> None:
        """Add a value that came at a monotonic time."""
        number = _to_number(value)
        if self.count and value == self._last:
            self.repeated += 1
        self.count += 1
        self.intervals.add(at)
        if number is None:
            self.types["null" if value is None else type(value).__name__] += 1
            if isinstance(value, str) and value not in self.texts and len(self.texts) < _MAX_TEXTS:
                self.texts.append(value[:_MAX_TEXT_LENGTH])
            self._last = value
            return
        self.types["text number" if isinstance(value, str) else "number"] += 1
        before = _to_number(self._last)
        if before is not None and number != before:
            change = abs(number - before)
            self.smallest_change = min(change, self.smallest_change or change)
        self.low, self.high = min(self.low, number), max(self.high, number)
        if len(self._distinct) < _MAX_DISTINCT:
            self._distinct.add(number)
        self._last = value

    @property
    def is_number(self) -> bool:
        """Whether at least one value is a number."""
        return bool(self.types["number"] or self.types["text number"])

    @property
    def step(self) -> float | None:
        """The smallest step between values that differ; None if none differ."""
        steps = [after - before for before, after in pairwise(sorted(self._distinct))]
        if self.smallest_change is not None:
            steps.append(self.smallest_change)
        return float(f"{min(steps):.3g}") if steps else None


@dataclass(slots=True)
class EventTimes:
    """The event times in one field."""

    kind: str
    """"number", or "text" of ISO 8601, or the format of other texts."""
    has_zone: bool
    count: int = 0
    lead: float | None = None
    """Seconds by which the last one was ahead of its arrival; None if all were retained."""
    is_quoted: bool = False
    """Whether a number was in quotes."""

    @property
    def zone_hours(self) -> float | None:
        """Hours by which local times without zone are ahead of UTC; None if they seem to be UTC."""
        if self.has_zone or self.kind == "number" or self.lead is None:
            return None
        half_hours = round(self.lead / 1800)
        is_near = abs(self.lead - half_hours * 1800) < _ZONE_TOLERANCE_S
        return half_hours / 2 if half_hours and abs(half_hours) <= _MAX_HALF_HOURS and is_near else None


_ZONE_TOLERANCE_S = 300.0
_MAX_HALF_HOURS = 28


def read_event_time(value: Scalar, arrived_at: float) -> tuple[float, EventTimes] | None:
    """Return an event time in seconds since 1970 and how it is written; None if the value is no time.

    Parameters
    ----------
    arrived_at : seconds since the Unix epoch; times more than a year away from it are none.
    """
    if isinstance(value, bool) or value is None:
        return None
    found = EventTimes("number", has_zone=True)
    if isinstance(value, str):
        is_digits = value.strip().replace(".", "", 1).isdigit()
        if len(value) < _MIN_TEXT_LENGTH or not value[:1].isdigit():
            return None
        found.is_quoted = is_digits
        if not is_digits:
            found = EventTimes("text", has_zone=_has_zone(value))
    seconds = _parse(value, found)
    if seconds is None or seconds < _MIN_TS or abs(seconds - arrived_at) > _MAX_LEAD_S:
        return None
    return seconds, found


def _parse(value: Scalar, found: EventTimes) -> float | None:
    formats: tuple[str | None, ...] = (None, *_TEXT_FORMATS) if found.kind == "text" else (None,)
    for text_format in formats:
        try:
            seconds = EventTimeRules(format=text_format, accepts_text_numbers=True).parse(value)
        except ValueError:
            continue
        if text_format is not None:
            found.kind, found.has_zone = text_format, False
        return seconds
    return None


def _has_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return text.upper().endswith("Z")


def _to_number(value: Scalar) -> float | None:
    """Return a value as a number, also if it is in quotes; None if it is none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < MILLISECONDS_THRESHOLD * 1e9 else None  # no NaN, no infinity
