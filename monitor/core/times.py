"""Event times: parsing them to seconds since the Unix epoch, and formatting them."""

import math
from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["MAX_TS", "MILLISECONDS_THRESHOLD", "format_iso", "parse_ts"]

MILLISECONDS_THRESHOLD = 1e11
"""A numeric event time above this is in milliseconds, else in seconds."""

MAX_TS = 253402300799.0
"""Latest event time of a reading, seconds since the Unix epoch: the end of the year 9999."""


def parse_ts(ts: float | str) -> float:
    """Return an event time in seconds since the Unix epoch.

    Parameters
    ----------
    ts : a number of seconds, or of milliseconds if above 1e11; or ISO 8601 text, taken as UTC if it has no
        zone.

    Raises
    ------
    ValueError : `ts` is not such a number or text, or the time is before 1970 or after 9999.
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


@lru_cache(maxsize=1024)  # each event of an incident repeats the time at which the incident began
def format_iso(ts: float) -> str:
    """Return a time in seconds since the Unix epoch as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(round(ts, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
