"""Event times: seconds since the Unix epoch, and how they are written."""

import math
from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["MAX_TS", "format_iso", "parse_ts"]


MILLISECONDS_THRESHOLD = 1e11


MAX_TS = 253402300799.0
"""Of the year 9999, and the last time that a reading can have, seconds since the Unix epoch."""


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
        seconds = ts / 1000 if ts > MILLISECONDS_THRESHOLD else ts
    if not (math.isfinite(seconds) and 0 <= seconds <= MAX_TS):
        raise ValueError(f"ts is {ts!r}; expected a time between 1970 and 9999")
    return seconds


@lru_cache(maxsize=1024)  # when an incident began is said with each of its events
def format_iso(ts: float) -> str:
    """Return seconds since the Unix epoch as ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(round(ts, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
