"""The event times that a source's payloads have: units, zones, formats."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from monitor.core.readings import to_float
from monitor.core.times import MAX_TS, MILLISECONDS_THRESHOLD, parse_iso

__all__ = ["TS_UNITS", "EventTimeRules"]

TS_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""Units of a number as event time -> how many make a second."""

# A number of milliseconds, microseconds or nanoseconds since 1970 is above these, from 1973 on; a number of
# the next smaller unit is below until the year 5138.
_UNIT_THRESHOLDS = (
    (MILLISECONDS_THRESHOLD * 1e6, 1e9),
    (MILLISECONDS_THRESHOLD * 1e3, 1e6),
    (MILLISECONDS_THRESHOLD, 1e3),
)


@dataclass(frozen=True, slots=True)
class EventTimeRules:
    """How a source writes event times."""

    unit: str | None = None
    """Unit of a number, a key of `TS_UNITS`; None: told by its size."""
    zone: tzinfo = UTC
    """Zone of times without one. Of an hour that occurs twice, as clocks are set back, the first is meant."""
    format: str | None = None
    """Format of texts for `datetime.strptime`; None: ISO 8601."""
    accepts_text_numbers: bool = False
    """Whether a number may be in quotes."""

    def parse(self, ts: Any) -> float:
        """Return an event time in seconds since the Unix epoch.

        Raises
        ------
        ValueError : `ts` is no such number or text, or the time is before 1970 or after 9999.
        """
        if isinstance(ts, str):
            seconds, shown = self._parse_text(ts), repr(ts)
        elif isinstance(ts, int | float) and not isinstance(ts, bool):
            number = to_float(ts)
            seconds, shown = self._to_seconds(number), f"{number:.17g}"
        else:
            raise ValueError(  # noqa: TRY004, a payload with a value of the wrong type
                f"ts is {str(ts)[:40]}; expected a number or {self._expected_text()}"
            )
        if not (math.isfinite(seconds) and 0 <= seconds <= MAX_TS):
            raise ValueError(f"ts is {shown[:40]}; expected a time between 1970 and 9999")
        return seconds

    def _to_seconds(self, number: float) -> float:
        if self.unit is not None:
            return number / TS_UNITS[self.unit]
        return number / next((per_second for above, per_second in _UNIT_THRESHOLDS if number > above), 1.0)

    def _parse_text(self, text: str) -> float:
        if self.format is None and text.strip().replace(".", "", 1).isdigit():
            if not self.accepts_text_numbers:
                raise ValueError(
                    f"ts is {text[:40]!r}, a number in quotes; expected a number or ISO 8601, "
                    'or numbers = "text" in the source'
                )
            return self._to_seconds(float(text))
        if self.format is None:
            return parse_iso(text, self.zone)
        try:
            moment = datetime.strptime(text, self.format)  # noqa: DTZ007, the zone is added
        except ValueError:
            raise ValueError(f"ts is {text[:40]!r}; expected {self._expected_text()}") from None
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=self.zone)).timestamp()

    def _expected_text(self) -> str:
        return "ISO 8601" if self.format is None else f"a time like {self.format!r}"
