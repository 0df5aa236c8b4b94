from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from monitor.ingest.event_time import EventTimeRules

TS = 1796043900.0
LOCAL_TS = datetime(2026, 11, 29, 13, 5, tzinfo=UTC).timestamp()
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_unit_by_size(factor: int) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds since 1970 are told by their size."""
    assert EventTimeRules().parse(int(TS) * factor) == TS


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_unit(unit: str, factor: int) -> None:
    """A unit that is given holds for times of any size, such as those soon after 1970."""
    assert EventTimeRules(unit=unit).parse(60 * factor) == 60.0


@pytest.mark.parametrize(
    "text", ["2026-11-29T13:05:00Z", "2026-11-29T14:05:00+01:00", "2026-11-29T13:05:00.000000321Z"]
)
def test_iso_with_zone(text: str) -> None:
    """A time with its zone means that zone, whatever the source's is; digits below a microsecond are cut."""
    assert EventTimeRules(zone=BERLIN).parse(text) == pytest.approx(LOCAL_TS, abs=1e-6)


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 0), ("Europe/Berlin", 1), ("America/New_York", -5)])
def test_zone(zone: str, hours: int) -> None:
    """A time without zone is in the zone of its source."""
    rules = EventTimeRules(zone=ZoneInfo(zone))
    assert rules.parse("2026-11-29T13:05:00") == LOCAL_TS - 3600 * hours


def test_summer_time() -> None:
    """A zone's summer time counts."""
    assert (
        EventTimeRules(zone=BERLIN).parse("2026-07-01T14:00:00")
        == datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()
    )


def test_hour_that_occurs_twice() -> None:
    """Of an hour that occurs twice, as clocks are set back, the first is meant."""
    assert (
        EventTimeRules(zone=BERLIN).parse("2026-10-25T02:30:00")
        == datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    )


def test_format() -> None:
    """A format reads texts of any kind, in the source's zone."""
    rules = EventTimeRules(zone=BERLIN, format="%d.%m.%Y %H:%M:%S")
    assert rules.parse("29.11.2026 14:05:00") == LOCAL_TS


def test_format_with_zone() -> None:
    """A format that reads a zone needs none of the source."""
    rules = EventTimeRules(zone=BERLIN, format="%d.%m.%Y %H:%M %z")
    assert rules.parse("29.11.2026 13:05 +0000") == LOCAL_TS


def test_number_in_quotes() -> None:
    """A number in quotes is taken where the source says so."""
    assert EventTimeRules(accepts_text_numbers=True).parse("1796043900000") == TS


@pytest.mark.parametrize(
    ("rules", "ts", "reason"),
    [
        (EventTimeRules(), "1796043900", "ts is '1796043900', a number in quotes; expected a number or ISO"),
        (EventTimeRules(), "29.11.2026", "ts is '29.11.2026'; expected a number or ISO 8601"),
        (EventTimeRules(format="%d.%m.%Y"), "2026-11-29", "expected a time like '%d.%m.%Y'"),
        (EventTimeRules(format="%H:%M"), "14:05", "expected a time between 1970 and 9999"),
        (EventTimeRules(), True, "ts is True; expected a number or ISO 8601"),
        (EventTimeRules(), {"x": 1}, "expected a number or ISO 8601"),
        (EventTimeRules(), -5, "ts is -5; expected a time between 1970 and 9999"),
        (EventTimeRules(unit="s"), 1796043900000, "ts is 1796043900000; expected a time between"),
        (EventTimeRules(), 10**400, "ts is inf; expected a time between"),
        (EventTimeRules(), float("nan"), "ts is nan; expected a time between"),
        (EventTimeRules(), "0001-01-01T00:00:00", "expected a time between"),
    ],
)
def test_invalid(rules: EventTimeRules, ts: Any, reason: str) -> None:
    """What is no event time is refused with what it is and what was expected."""
    with pytest.raises(ValueError, match="ts is") as error:
        rules.parse(ts)
    assert reason in str(error.value)
    assert len(str(error.value)) < 150
