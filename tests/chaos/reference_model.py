"""What becomes of each reading, told as simply as possible: one at a time, in dictionaries and lists.

Written from the table under "Honesty" in the design and from nothing else; the stages must agree with it.
"""

from dataclasses import dataclass, field

__all__ = ["ReceivedReading", "ReferenceModel"]


@dataclass(frozen=True, slots=True)
class ReceivedReading:
    """One reading (or what is none) as the monitor meets it."""

    group: str
    """Empty where the topic fits no template."""
    ts: float | None
    """None where the payload names none."""
    values: tuple[float, ...] | None
    """None where the payload can't be read."""
    wall_time: float
    """The wall clock when it arrived, seconds since the Unix epoch."""
    substitute_ts: float
    """Its arrival time where it has no ts: strictly increasing."""
    monotonic_s: float
    """The monotonic clock when it was dealt with, seconds."""
    redelivered: bool = False
    """Whether the broker says that it may have sent it before."""


@dataclass
class ReferenceModel:
    """The monitor's memory of every group.

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
    """Complete windows since the last fresh start."""
    last_seen: dict[str, float] = field(default_factory=dict)
    """When a reading was last accepted, monotonic seconds."""
    judged_windows: list[tuple[str, list[tuple[float, tuple[float, ...]]]]] = field(default_factory=list)
    """Group and window of each verdict."""

    def process(self, reading: ReceivedReading) -> str:
        """Return the outcome of one reading."""
        if not reading.group:
            return "unmatched"
        if reading.values is None:
            return "malformed"
        ts = reading.substitute_ts if reading.ts is None else reading.ts
        if reading.ts is not None and ts > reading.wall_time + self.max_skew:
            return "future"
        last_ts = (
            self.windows_by_group[reading.group][-1][0] if self.windows_by_group.get(reading.group) else None
        )
        is_silent = (
            reading.monotonic_s - self.last_seen.get(reading.group, reading.monotonic_s) > self.stale_after
        )
        # Silence forgives any clock, but a repeat stays a repeat.
        if last_ts is not None and ts <= last_ts and (not is_silent or reading.redelivered):
            return "duplicate" if ts == last_ts else "late"
        is_gap = last_ts is not None and not is_silent and ts - last_ts > self.max_gap
        if is_silent or is_gap:
            self.windows_by_group[reading.group] = []
            self.complete_windows[reading.group] = 0
        self.last_seen[reading.group] = reading.monotonic_s
        return self._append(reading.group, ts, reading.values) or ("gap" if is_gap else "filling")

    def _append(self, group: str, ts: float, values: tuple[float, ...]) -> str:
        """Add an accepted reading to its group's window; return nothing where that isn't complete."""
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
