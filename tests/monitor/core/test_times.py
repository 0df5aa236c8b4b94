import re

import pytest

from monitor.core.times import describe_lead, parse_ts


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2023-11-14t22:13:20z", "2023-11-14T22:13:20Z"),
        ("2023-11-14 22:13:20z", "2023-11-14T22:13:20Z"),
        ("2023-11-14t22:13:20.5+02:00", "2023-11-14T22:13:20.5+02:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31t23:59:60.25z", "2017-01-01T00:00:00.25Z"),
        ("2017-01-01T01:59:60+02:00", "2017-01-01T00:00:00Z"),
        ("20161231T235960Z", "2017-01-01T00:00:00Z"),
        ("2023-11-14 22:13:60", "2023-11-14T22:14:00Z"),
        (" 2023-11-14T22:13:20Z\n", "2023-11-14T22:13:20Z"),
    ],
)
def test_rfc_3339(text: str, same: str) -> None:
    """Lower-case letters and a second 60 are taken, as RFC 3339 has them; blanks around don't matter."""
    assert parse_ts(text) == parse_ts(same)


@pytest.mark.parametrize("text", ["2023-11-14T22:13:61Z", "2023-11-14T22:60:00Z", "2023-11-14T22:13:600Z"])
def test_impossible_times(text: str) -> None:
    """Any other number of seconds or minutes beyond 59 is refused."""
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_ts(text)


@pytest.mark.parametrize(
    ("ts", "unit"), [(1.7e15, "microseconds"), (1.7e18, "nanoseconds"), (4e14, "microseconds")]
)
def test_finer_units(ts: float, unit: str) -> None:
    """Microseconds and nanoseconds are refused by their name."""
    with pytest.raises(ValueError, match=f"{unit}\\? expected seconds, milliseconds or ISO 8601"):
        parse_ts(ts)


@pytest.mark.parametrize("ts", [float("inf"), 1e22, -1.7e18])
def test_times_in_no_unit(ts: float) -> None:
    """A number that is no time in any unit is refused without a guess."""
    with pytest.raises(ValueError, match="expected a time between 1970 and 9999"):
        parse_ts(ts)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (7198.7, "7199 s, or 2 h: local time without its zone?"),
        (19830.0, "19830 s, or 5.5 h: local time without its zone?"),
        (50400.0, "50400 s, or 14 h: local time without its zone?"),
        (54000.0, "54000 s"),
        (90.0, "90 s"),
        (5000.0, "5000 s"),
    ],
)
def test_lead(seconds: float, text: str) -> None:
    """A lead of whole or half hours hints at a time zone."""
    assert describe_lead(seconds) == text
