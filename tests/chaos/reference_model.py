"""What becomes of each reading, told as simply as possible: one at a time, in dictionaries and lists.

Written from the table under "Honesty" in the design and from nothing else; the stages must agree with it.
"""

from dataclasses import dataclass, field

__all__ = ["Model", "Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """One reading (or what is none) as the monitor meets it."""

    group: str
    """Empty where the topic fits no template."""
    ts: float | None
    """None where the payload names none."""
    values: tuple[float, ...] | None
    """None where the payload can't be read."""
    clock: float
    """The wall clock when it arrived, seconds since the Unix epoch."""
    stamp: float
    """Its arrival time where it has no ts: strictly increasing."""
    turn: float
    """The monotonic clock when it was dealt with, seconds."""
    redelivered: bool = False
    """Whether the broker says that it may have sent it before."""


@dataclass
class Model:
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
    window: dict[str, list[tuple[float, tuple[float, ...]]]] = field(default_factory=dict)
    complete: dict[str, int] = field(default_factory=dict)
    """Complete windows since the last fresh start."""
    heard: dict[str, float] = field(default_factory=dict)
    """When a reading was last accepted, monotonic seconds."""
    judged: list[tuple[str, list[tuple[float, tuple[float, ...]]]]] = field(default_factory=list)
    """Group and window of each verdict."""

    def take(self, sent: Sent) -> str:
        """Return the outcome of one reading."""
        if not sent.group:
            return "unmatched"
        if sent.values is None:
            return "malformed"
        ts = sent.stamp if sent.ts is None else sent.ts
        if sent.ts is not None and ts > sent.clock + self.max_skew:
            return "future"
        last = self.window[sent.group][-1][0] if self.window.get(sent.group) else None
        silent = sent.turn - self.heard.get(sent.group, sent.turn) > self.stale_after
        # Silence forgives any clock, but a repeat stays a repeat.
        if last is not None and ts <= last and (not silent or sent.redelivered):
            return "duplicate" if ts == last else "late"
        gap = last is not None and not silent and ts - last > self.max_gap
        if silent or gap:
            self.window[sent.group] = []
            self.complete[sent.group] = 0
        self.heard[sent.group] = sent.turn
        return self._append(sent.group, ts, sent.values) or ("gap" if gap else "filling")

    def _append(self, group: str, ts: float, values: tuple[float, ...]) -> str:
        """Add an accepted reading to its group's window; return nothing where that isn't complete."""
        window = self.window.setdefault(group, [])
        window.append((ts, values))
        if len(window) < self.steps:
            return ""
        del window[: -self.steps]
        self.complete[group] = self.complete.get(group, 0) + 1
        if (self.complete[group] - 1) % self.stride:
            return "skipped"
        self.judged.append((group, window.copy()))
        return "judged"
