"""The monitor's wall clock is set a year ahead, and back, under load."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from tests.chaos.harness import Harness, wait_while_progressing
from tests.chaos.load_generator import LoadGenerator
from tests.chaos.raw_mqtt import Packet
from tests.chaos.reading_generator import Reading, ReadingGenerator
from tests.chaos.results import ALERT_PREFIX, ResultRow
from tests.support.settable_clock import SettableClock

__all__ = ["step_clock"]

_YEAR_S = 365 * 86400.0
_GROUP_COUNT = 100
_RATE = 2000.0
_TOLERANCE_S = 5.0
"""Seconds by which an event's time may be outside the period in which the clock was as it says."""
_ALLOWED_OUTCOMES = {"judged", "filling", "gap"}
"""Of readings that are in order, with gaps. A group without `ts` is never late, duplicate or future."""


class _ReadingWithoutTs(Reading):
    """A reading whose payload has no event time."""

    __slots__ = ()

    @property
    def payload(self) -> bytes:
        """Return the reading as JSON."""
        content = json.loads(super().payload)
        del content["ts"]
        return json.dumps(content).encode()


class _PartlyStampedReadings(ReadingGenerator):
    """Readings of which those of every second group have no event time."""

    def __iter__(self) -> Iterator[Reading]:
        """Yield one reading of each group per round."""
        return map(_remove_ts, super().__iter__())

    def final_readings(self) -> list[Reading]:
        """Return healthy readings of all groups, after which no incident is open."""
        return [_remove_ts(reading) for reading in super().final_readings()]


def _remove_ts(reading: Reading) -> Reading:
    if _has_ts(reading.group):
        return reading
    return _ReadingWithoutTs(reading.group, reading.ts, reading.values)


def _has_ts(group: str) -> bool:
    return int(group[-1]) % 2 == 0


@dataclass(frozen=True, slots=True)
class _Period:
    """A period in which the monitor's clock was not set."""

    offset: float
    """Seconds by which it was ahead of this machine's."""
    begin: float
    """By this machine's clock, seconds since the Unix epoch."""
    end: float
    """When all its readings were judged, by this machine's clock."""
    packets: Sequence[Packet]
    """What the recorder received in the period, and perhaps the last events of the period before."""

    def contains(self, ts: float) -> bool:
        """Return whether the monitor's clock showed this time within the period."""
        return self.begin - _TOLERANCE_S <= ts - self.offset <= self.end + _TOLERANCE_S


def step_clock(folder: Path, count: int, seed: int) -> ResultRow:
    """Set the clock `count` times, a year ahead and back in turn, while readings come with and without `ts`.

    Each reading must get an outcome, and none may be late. The events of groups with `ts` must be those of an
    undisturbed monitor; the events of the others must be dated by the clock as it was set last.
    """
    steps = max(2, count // 2 * 2)  # the last one sets it right
    row = ResultRow("clock set a year ahead and back", steps)
    folder.mkdir(parents=True)
    clock = SettableClock(folder / "clock")
    with Harness(folder / "run", seed, "lifecycle", command=clock.command) as harness:
        harness.load_generator = LoadGenerator(
            harness.broker.port, _PartlyStampedReadings(_GROUP_COUNT, seed), _RATE
        )
        offsets = [_YEAR_S if step % 2 else 0.0 for step in range(steps + 1)]
        periods = [_run_period(harness, clock, offset) for offset in offsets]
        readings = harness.load_generator.finish()
        row.confirmed_readings = len(readings)
        _wait_until_judged(harness)
        outcomes = harness.monitor.outcomes()
        row.notes.append(str(outcomes))
        if wrong := set(outcomes) - _ALLOWED_OUTCOMES:
            row.failures.append(f"readings with the outcomes {sorted(wrong)}")
        harness.compare(
            row,
            [[reading for reading in readings if _has_ts(reading.group)]],
            is_compared=lambda packet: _has_ts(packet.topic),
        )
        row.failures += _unresolved_incidents(harness.recorder.packets)
    for before, period in pairwise(periods):
        row.failures += _wrong_dates(before, period)
    return row


def _run_period(harness: Harness, clock: SettableClock, offset: float) -> _Period:
    """Set the clock under load, let the load run on for a random time, and wait until all is judged."""
    first_packet = len(harness.recorder.packets)
    harness.load_generator.start()
    harness.wait_random(0.2, 1.0)
    clock.set(offset)
    begin = time.time()
    harness.wait_random(1.0, 3.0)
    harness.load_generator.pause()
    _wait_until_judged(harness)
    return _Period(offset, begin, time.time(), harness.recorder.packets[first_packet:])


def _wait_until_judged(harness: Harness) -> None:
    """Wait until each reading that was sent has an outcome.

    Raises
    ------
    TimeoutError : some reading gets none.
    """
    wait_while_progressing(
        lambda: sum(harness.monitor.outcomes().values()) == len(harness.load_generator.sent_readings),
        lambda: sum(harness.monitor.outcomes().values()),
        "each reading has an outcome",
    )


def _wrong_dates(before: _Period, period: _Period) -> list[str]:
    """Return a failure if events of groups without `ts` have other times than the clock showed."""
    dates = [
        datetime.fromisoformat(event["ended_at"] or event["started_at"]).timestamp()
        for packet in period.packets
        if packet.topic.startswith(ALERT_PREFIX) and not _has_ts(packet.topic)
        for event in [json.loads(packet.payload)]
    ]
    wrong = [ts for ts in dates if not (period.contains(ts) or before.contains(ts))]
    failures = [f"{len(wrong)} of {len(dates)} alerts are dated wrong, the first {wrong[0]}"] if wrong else []
    if not any(map(period.contains, dates)):
        failures.append(f"none of {len(dates)} alerts is dated by the clock as it was set last")
    return failures


def _unresolved_incidents(packets: Sequence[Packet]) -> list[str]:
    """Return a failure if an incident of a group without `ts` has no event `resolved`."""
    events = [
        json.loads(packet.payload)
        for packet in packets
        if packet.topic.startswith(ALERT_PREFIX) and not _has_ts(packet.topic)
    ]
    resolved = {event["id"] for event in events if event["status"] == "resolved"}
    unresolved = {event["id"] for event in events} - resolved
    return [f"{len(unresolved)} incidents of groups without ts are unresolved"] if unresolved else []
