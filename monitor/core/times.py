"""Event times: parsing them to seconds since the Unix epoch, and formatting them."""

import math
import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

__all__ = [
    "MAX_TS",
    "MILLISECONDS_THRESHOLD",
    "MIN_TS",
    "describe_lead",
    "format_iso",
    "is_storable_ts",
    "parse_iso",
    "parse_ts",
]

MILLISECONDS_THRESHOLD = 1e11
"""A numeric event time above this is in milliseconds, else in seconds."""

MAX_TS = 253402300799.0
"""Latest event time of a reading, seconds since the Unix epoch: the end of the year 9999."""

MIN_TS = -62135596800.0
"""Earliest time that can be formatted, seconds since the Unix epoch: the beginning of the year 1."""

_LEAP_SECOND = re.compile(r"([T ]\d\d:?\d\d:?)60(?!\d)")
# Zones are whole or half hours from UTC, up to 14 of them; three places with a quarter are left out.
_HALF_HOUR_S = 1800.0
_MAX_ZONE_HALF_HOURS = 28
# Seconds that clocks may differ and a reading may be under way.
_ZONE_TOLERANCE_S = 60.0


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
        seconds = parse_iso(ts)
    else:
        seconds = ts / 1000 if ts > MILLISECONDS_THRESHOLD else ts
        if unit := _finer_unit(seconds):
            raise ValueError(f"ts is {ts!r}, {unit}? expected seconds, milliseconds or ISO 8601")
    if not (math.isfinite(seconds) and 0 <= seconds <= MAX_TS):
        raise ValueError(f"ts is {ts!r}; expected a time between 1970 and 9999")
    return seconds


def parse_iso(text: str, zone: tzinfo = UTC) -> float:
    """Return a time as ISO 8601 text in seconds since the Unix epoch.

    Parameters
    ----------
    zone : zone of a time without one.

    Raises
    ------
    ValueError : `text` is no time in ISO 8601.
    """
    try:
        return _to_seconds(datetime.fromisoformat(text), zone)
    except ValueError:
        pass
    # RFC 3339 allows lower-case letters, and a leap second; the library takes neither.
    upper = text.strip().upper()
    minute_before, leap_seconds = _LEAP_SECOND.subn(r"\g<1>59", upper)
    try:
        return _to_seconds(datetime.fromisoformat(minute_before), zone) + leap_seconds
    except ValueError:
        raise ValueError(f"ts is {text[:40]!r}; expected a number or ISO 8601") from None


def _to_seconds(moment: datetime, zone: tzinfo) -> float:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def _finer_unit(seconds: float) -> str:
    """Return the unit that makes a time beyond the year 9999 one before it; "" if there is none."""
    if MAX_TS < seconds <= MAX_TS * 1e3:
        return "microseconds"
    return "nanoseconds" if MAX_TS * 1e3 < seconds <= MAX_TS * 1e6 else ""


def describe_lead(seconds: float) -> str:
    """Return by how much a time is ahead of the clock, and whether that looks like a missing time zone."""
    half_hours = round(seconds / _HALF_HOUR_S)
    is_zone = (
        1 <= half_hours <= _MAX_ZONE_HALF_HOURS
        and abs(seconds - half_hours * _HALF_HOUR_S) <= _ZONE_TOLERANCE_S
    )
    hint = f", or {half_hours / 2:g} h: local time without its zone?" if is_zone else ""
    return f"{seconds:.0f} s{hint}"


def is_storable_ts(ts: float | None) -> bool:
    """Return whether a time of a group's stored state, if there is one, can be that of a reading.

    It may be before 1970 where the clock was set back, by which times of arrival are moved.
    """
    return ts is None or MIN_TS <= ts <= MAX_TS


@lru_cache(maxsize=1024)  # each event of an incident repeats the time at which the incident began
def format_iso(ts: float) -> str:
    """Return a time in seconds since the Unix epoch as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(round(ts, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
