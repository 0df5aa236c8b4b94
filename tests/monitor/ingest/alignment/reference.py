"""The rules of alignment in plain Python: one value at a time, dicts, no batches."""

from dataclasses import dataclass, field
from math import inf, isnan, nan

from monitor.core.rules import AlignmentRules

Sample = tuple[str, float, tuple[float, ...], float, float]
"""Group, sampling time, values, arrival times by wall clock and by monotonic clock."""


@dataclass
class Value:
    """A value that was sent; the number says which."""

    group: str
    feature: int
    ts: float
    number: float  # NaN: absent
    arrived_at: float
    arrived: float  # monotonic seconds
    redelivered: bool = False
    retained: bool = False


@dataclass
class Group:
    decided: float = -inf
    held: dict[int, tuple[float, float]] = field(default_factory=dict)  # feature -> (ts, number)
    newest: dict[int, float] = field(default_factory=dict)  # feature -> ts
    pending: dict[int, dict[int, tuple[float, float]]] = field(default_factory=dict)  # bucket -> as `held`
    deadlines: dict[int, float] = field(default_factory=dict)  # bucket -> monotonic seconds
    stale: set[int] = field(default_factory=set)  # without features that never had a value
    is_silent: bool = False


class Reference:
    """The alignment stage; `max_lead` is how far a value may be ahead of its arrival, seconds."""

    def __init__(self, features: int, rules: AlignmentRules, max_lead: float) -> None:
        self.features, self.rules, self.max_lead = range(features), rules, max_lead
        self.groups: dict[str, Group] = {}
        self.readings: list[Sample] = []
        self.stale_samples: list[tuple[str, float, set[int]]] = []
        self.outcomes: list[str] = []

    def push(self, value: Value) -> None:
        self.outcomes.append(self._push(value))

    def _push(self, value: Value) -> str:
        if value.ts > value.arrived_at + self.max_lead:
            return "future"
        group = self.groups.setdefault(value.group, Group())
        if value.arrived_at < inf:
            self.tick(value.group, value.arrived)
        bucket = self._bucket(value.ts)
        if group.is_silent and value.retained:
            return "retained"
        if group.is_silent and not (value.redelivered and bucket <= group.decided):
            group = self.groups[value.group] = Group()
        event = min(value.ts, value.arrived_at)
        self._decide(value, lambda t: t + self.rules.wait <= event)
        outcome = self._keep(group, value, bucket)
        if self.rules.is_ordered and len(group.newest) == len(self.features):
            self._decide(value, lambda t: t <= min(group.newest.values()))
        return outcome

    def _keep(self, group: Group, value: Value, bucket: int) -> str:
        pending = group.pending.get(bucket, {})
        held_ts = group.held.get(value.feature, (-inf, nan))[0]
        pending_ts = pending.get(value.feature, (-inf, nan))[0]
        if value.ts in (held_ts, pending_ts):
            return "duplicate"
        event = min(value.ts, value.arrived_at)
        group.newest[value.feature] = max(group.newest.get(value.feature, -inf), event)
        if bucket <= group.decided:
            if value.ts > held_ts:
                group.held[value.feature] = (value.ts, value.number)
            return "late"
        if value.ts < pending_ts <= value.arrived_at:
            return "late"
        if not pending:
            ahead = max(bucket * self.rules.period - value.arrived_at, 0)
            has_clock = value.arrived_at < inf
            group.deadlines[bucket] = value.arrived + ahead + self.rules.wait if has_clock else inf
        group.pending.setdefault(bucket, {})[value.feature] = (value.ts, value.number)
        return "absent" if isnan(value.number) else "accepted"

    def tick(self, name: str, now: float) -> None:
        """Decide what is due by the monotonic clock."""
        group = self.groups[name]
        due = [bucket for bucket, deadline in group.deadlines.items() if deadline <= now]
        for bucket in sorted(bucket for bucket in group.pending if due and bucket <= max(due)):
            decided_at = min(deadline for b, deadline in group.deadlines.items() if b >= bucket)
            self._decide_one(name, bucket, bucket * self.rules.period + self.rules.wait, decided_at)

    def restart(self, now: float) -> None:
        for group in self.groups.values():
            group.deadlines = dict.fromkeys(group.pending, now + self.rules.wait)

    def mark_silent(self, name: str) -> None:
        self.groups.setdefault(name, Group()).is_silent = True

    def _decide(self, cause: Value, is_decided) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        group, bucket = self.groups[cause.group], self._bucket(max(cause.ts, 0)) + 2
        while not is_decided(bucket * self.rules.period):
            bucket -= 1
        for pending in sorted(b for b in group.pending if b <= bucket):
            arrived_at = max(cause.arrived_at, pending * self.rules.period)
            self._decide_one(cause.group, pending, arrived_at, cause.arrived)
        group.decided = max(group.decided, bucket)

    def _decide_one(self, name: str, bucket: int, arrived_at: float, arrived: float) -> None:
        group, t = self.groups[name], bucket * self.rules.period
        group.held |= group.pending.pop(bucket)
        del group.deadlines[bucket]
        group.decided = bucket
        held = [group.held.get(feature, (-inf, nan)) for feature in self.features]
        stale = {
            feature
            for feature, (ts, number) in enumerate(held)
            if isnan(number)
            or t - ts > self.rules.max_age[feature]
            or not (self.rules.on_change or self._bucket(ts) == bucket)
        }
        group.stale = stale & set(group.held)
        if stale:
            self.stale_samples.append((name, t, stale))
        else:
            self.readings.append((name, t, tuple(number for _, number in held), arrived_at, arrived))

    def _bucket(self, ts: float) -> int:
        """Return the smallest b with b * period >= ts."""
        bucket = int(ts / self.rules.period) - 2
        while bucket * self.rules.period < ts:
            bucket += 1
        return bucket
