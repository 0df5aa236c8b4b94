"""A simple model of the outcomes of readings: one reading at a time, in dictionaries and lists.

It was written from the table of outcomes in the design alone, not from the code; the stages must agree with
it.
"""

from dataclasses import dataclass, field

__all__ = ["ReceivedReading", "ReferenceModel"]


@dataclass(frozen=True, slots=True)
class ReceivedReading:
    """One element of a received payload."""

    group: str
    """Empty if the topic matches no template."""
    ts: float | None
    """Event time, seconds since the Unix epoch; None if the payload has none."""
    values: tuple[float, ...] | None
    """None if the payload can't be read."""
    wall_time: float
    """Wall clock when it arrived, seconds since the Unix epoch."""
    substitute_ts: float
    """Event time of a reading without `ts`: its arrival time, made strictly increasing."""
    monotonic_s: float
    """Monotonic clock when it was judged, seconds."""
    redelivered: bool = False
    """The DUP flag: the broker may have sent it before."""


@dataclass
class ReferenceModel:
    """The state of every group, and the rules that give each reading its outcome.

    Parameters
    ----------
    steps, max_gap, max_skew, stale_after, stride : as in the settings and the bundle.
    """

    steps: int
    max_gap: float
    max_skew: float
    stale_after: float
    stride: int
    windows_by_group: dict[str, list[tuple[float, tuple[float, ...]]]] = field(default_factory=dict)
    complete_windows: dict[str, int] = field(default_factory=dict)
    """Complete windows of each group since its window was last started again."""
    last_seen: dict[str, float] = field(default_factory=dict)
    """Monotonic time, in seconds, when a reading of each group was last accepted."""
    groups_without_ts: set[str] = field(default_factory=set)
    """Groups whose last accepted reading had no event time."""
    restarting_groups: set[str] = field(default_factory=set)
    """Those of them that had no reading since the wall clock was set."""
    judged_windows: list[tuple[str, list[tuple[float, tuple[float, ...]]]]] = field(default_factory=list)
    """Group and window of each verdict; a window is a list of (event time, values), oldest first."""

    def set_clock(self) -> None:
        """Let the groups whose readings have no event time begin afresh, as after a silence."""
        self.restarting_groups |= self.groups_without_ts

    def process(self, reading: ReceivedReading) -> str:
        """Return the outcome of one reading."""
        if not reading.group:
            return "unmatched"
        if reading.values is None:
            return "malformed"
        ts = reading.substitute_ts if reading.ts is None else reading.ts
        if reading.ts is not None and ts > reading.wall_time + self.max_skew:
            return "future"
        last_ts = self._last_ts(reading.group)
        is_silent = (
            reading.monotonic_s - self.last_seen.get(reading.group, reading.monotonic_s) > self.stale_after
        ) or reading.group in self.restarting_groups
        # A reading without event time is never ahead of the clock.
        now = ts if reading.ts is None else reading.wall_time
        if not is_silent and self._remove_future(reading, ts, now):
            last_ts = self._last_ts(reading.group)
        # A silent group may continue with any event time, but a redelivered message is still a duplicate.
        if last_ts is not None and ts <= last_ts and (not is_silent or reading.redelivered):
            if reading.ts is not None or reading.group not in self.groups_without_ts:
                return "duplicate" if ts == last_ts else "late"
            is_silent = True  # both are arrival times, so the clock was set back
        is_gap = last_ts is not None and not is_silent and ts - last_ts > self.max_gap
        if is_gap and now - (last_ts or 0.0) <= self.max_gap:
            return "future"  # by the clock there is no gap
        if is_silent or is_gap:
            self.windows_by_group[reading.group] = []
            self.complete_windows[reading.group] = 0
        self.last_seen[reading.group] = reading.monotonic_s
        self.restarting_groups.discard(reading.group)
        if reading.ts is None:
            self.groups_without_ts.add(reading.group)
        else:
            self.groups_without_ts.discard(reading.group)
        return self._append(reading.group, ts, reading.values) or ("gap" if is_gap else "filling")

    def _last_ts(self, group: str) -> float | None:
        window = self.windows_by_group.get(group)
        return window[-1][0] if window else None

    def _remove_future(self, reading: ReceivedReading, ts: float, now: float) -> bool:
        """Remove readings that are ahead of the clock if this one is late only because of them."""
        window = self.windows_by_group.get(reading.group, [])
        past = [item for item in window if item[0] <= now]
        latest_ts = past[-1][0] if past else now - self.max_skew
        is_false = len(past) < len(window) and latest_ts < ts < window[-1][0]
        if not is_false or reading.redelivered or ts in {item[0] for item in window}:
            return False
        self.windows_by_group[reading.group] = past
        if not past:
            self.complete_windows[reading.group] = 0
        return True

    def _append(self, group: str, ts: float, values: tuple[float, ...]) -> str:
        """Add an accepted reading to its group's window; return the outcome, "" if it is incomplete."""
        window = self.windows_by_group.setdefault(group, [])
        window.append((ts, values))
        if len(window) < self.steps:
            return ""
        del window[: -self.steps]
        self.complete_windows[group] = self.complete_windows.get(group, 0) + 1
        if (self.complete_windows[group] - 1) % self.stride:
            return "skipped"
        self.judged_windows.append((group, window.copy()))
        return "judged"
