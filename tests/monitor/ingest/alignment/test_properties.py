from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import inf, nan
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.rules import AlignmentRules
from monitor.core.values import Values
from monitor.ingest.alignment import AlignedBatch, AlignmentStage
from monitor.ingest.alignment import stage as stage_module
from tests.monitor.ingest.alignment.reference import Reference, Sample, Value

QUICK = settings(derandomize=True, deadline=None, max_examples=200)
FEATURES, GROUPS, START = 2, ("g", "h", "i"), 1_700_000_000.0
# The rules, and how far a value may be ahead of its arrival under each.
RULES = [
    (AlignmentRules(period=2.0, wait=3.0, max_age=(4.0, 9.0), max_skew=60.0), 25.0),
    (AlignmentRules(period=5.0, wait=1.0, max_age=(5.0, 7.0), max_skew=4.0), 4.0),
    (AlignmentRules(period=0.7, wait=9.0, max_age=(3.0, 20.0)), 14 * 0.7 - 9.0),
    (AlignmentRules(period=2.0, wait=3.0, max_age=(4.0, 9.0), on_change=False, max_skew=10.0), 10.0),
]


@dataclass
class Step:
    """What happens next; the times are seconds since the step before."""

    kind: str  # "value", "restart", "silence", "clock step"
    pause: float
    is_batch_end: bool
    group: str
    feature: int
    lead: float  # of the event time before the arrival
    is_absent: bool
    redelivered: bool
    retained: bool
    clock_step: float


T = TypeVar("T")


def _long_lists(elements: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """Return lists of up to 60; without a drawn minimum nearly all would have fewer than 10."""
    return st.integers(0, 40).flatmap(lambda length: st.lists(elements, min_size=length, max_size=60))


def _steps(kinds: Sequence[str]) -> st.SearchStrategy[list[Step]]:
    return _long_lists(
        st.builds(
            Step,
            kind=st.sampled_from(kinds),
            pause=st.sampled_from([0.0, 0.0, 0.5, 1.0, 4.0, 40.0]),
            is_batch_end=st.booleans(),
            group=st.sampled_from(GROUPS),
            feature=st.integers(0, FEATURES - 1),
            lead=st.sampled_from([0.0, 0.0, -0.5, -1.0, -2.5, -6.0, -30.0, 1.0, 2.5, 4.0, 9.0, 25.0, 26.0]),
            is_absent=st.sampled_from([False] * 7 + [True]),
            redelivered=st.sampled_from([False] * 4 + [True]),
            retained=st.sampled_from([False] * 4 + [True]),
            clock_step=st.sampled_from([-100.0, -3.0, 3.0, 100.0]),
        )
    )


ALL_KINDS = ("value",) * 12 + ("restart", "silence", "clock step")


def _columns(values: Sequence[Value]) -> Values:
    return Values(
        groups=[value.group for value in values],
        features=np.array([value.feature for value in values], np.intp),
        ts=np.array([value.ts for value in values]),
        values=np.array([value.number for value in values]),
        arrived_at=np.array([value.arrived_at for value in values]),
        arrived_monotonic=np.array([value.arrived for value in values]),
        redelivered=np.array([value.redelivered for value in values], np.bool_),
        retained=np.array([value.retained for value in values], np.bool_),
    )


def _samples(batch: AlignedBatch) -> list[Sample]:
    readings = batch.readings
    rows = zip(
        readings.groups,
        readings.ts.tolist(),
        map(tuple, readings.values.tolist()),
        readings.arrived_at.tolist(),
        readings.arrived_monotonic.tolist(),
        strict=True,
    )
    return list(rows)


def _by_group(samples: Iterable[Any]) -> list[Any]:
    """Sort samples by group; within a group they keep their order."""
    return sorted(samples, key=lambda sample: sample[0])


class Run:
    """Passes the steps to a stage in batches, and value by value to the reference."""

    def __init__(self, rules: AlignmentRules, max_lead: float, *, is_recording: bool = False) -> None:
        self.rules = rules
        self.stage = AlignmentStage(FEATURES, rules)
        self.reference = Reference(FEATURES, rules, max_lead)
        self.is_recording = is_recording
        self.sent: list[Value] = []
        self.batches: list[AlignedBatch] = []
        self._waiting: list[Value] = []
        self._now = 0.0
        self._wall = START
        self._stale: dict[str, set[int]] = {}

    def run(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._now += step.pause
            self._wall += step.pause
            if step.kind == "value":
                self._send(step)
            elif step.kind == "clock step":
                self._wall += step.clock_step
            else:
                self._end_batch()
                if step.kind == "restart":
                    self._restart()
                else:
                    self.stage.mark_silent(step.group)
                    self.reference.mark_silent(step.group)
            if step.is_batch_end:
                self._end_batch()
        self._now = inf
        self._end_batch()
        for name in self.reference.groups:
            self.reference.tick(name, inf)

    def _send(self, step: Step) -> None:
        number = nan if step.is_absent else float(len(self.sent))
        arrived_at = inf if self.is_recording else self._wall
        value = Value(
            step.group, step.feature, self._wall + step.lead, number, arrived_at, self._now,
            step.redelivered, step.retained,
        )  # fmt: skip
        self.sent.append(value)
        self._waiting.append(value)
        self.reference.push(value)

    def _end_batch(self) -> None:
        batch = self.stage.push(_columns(self._waiting), self._now)
        self._waiting = []
        self.batches.append(batch)
        stale = {group: set(self.stage.stale_features(group)) for group in self.stage.groups()}
        changed = {group for group in stale if stale[group] != self._stale.get(group, set())}
        assert changed <= set(batch.changed_groups)
        self._stale = stale
        deadlines = [d for group in self.reference.groups.values() for d in group.deadlines.values()]
        assert self._now == inf or self.stage.next_deadline <= min(
            (deadline for deadline in deadlines if deadline > self._now), default=inf
        )

    def _restart(self) -> None:
        now = inf if self.is_recording else self._now
        restarted = AlignmentStage(FEATURES, self.rules)
        for group in self.stage.groups():
            restarted.load(group, self.stage.dump(group), now)
            assert restarted.dump(group) == self.stage.dump(group)
        self.stage = restarted
        for group in self.reference.groups:
            if not self.is_recording:
                self.reference.tick(group, now)  # as the end of the batch did
        self.reference.restart(now)

    def readings(self) -> list[Sample]:
        return [sample for batch in self.batches for sample in _samples(batch)]


MIN_GROUPS = st.sampled_from([1, 2, 100])
"""Groups in a round: 1 makes rounds of all values, 100 has them processed one by one."""


@QUICK
@given(_steps(ALL_KINDS), st.sampled_from(RULES), st.booleans(), st.booleans(), MIN_GROUPS)
def test_equals_the_reference(
    steps: list[Step],
    rules: tuple[AlignmentRules, float],
    is_ordered: bool,  # noqa: FBT001
    is_recording: bool,  # noqa: FBT001
    min_groups: int,
) -> None:
    """Whatever is sent and however it is cut into batches, the results are those of the reference.

    Values are delayed, lost, repeated, absent and ahead; groups fall silent, wall clocks are set, and the
    state moves into another instance.
    """
    run = Run(replace(rules[0], is_ordered=is_ordered), rules[1], is_recording=is_recording)
    with patch.object(stage_module, "_MIN_GROUPS_PER_ROUND", min_groups):
        run.run(steps)
    assert [outcome.value for batch in run.batches for outcome in batch.outcomes] == run.reference.outcomes
    assert _by_group(run.readings()) == _by_group(run.reference.readings)
    stale = [
        (group, ts, set(np.flatnonzero(mask).tolist()))
        for batch in run.batches
        for group, ts, mask in zip(batch.stale.groups, batch.stale.ts, batch.stale.is_stale, strict=True)
    ]
    assert _by_group(stale) == _by_group(run.reference.stale_samples)
    for name, group in run.reference.groups.items():
        assert set(run.stage.stale_features(name)) == group.stale


@QUICK
@given(_steps(("value",) * 12 + ("restart", "clock step")), st.sampled_from(RULES), st.booleans(), MIN_GROUPS)
def test_nothing_is_invented(
    steps: list[Step],
    rules: tuple[AlignmentRules, float],
    is_ordered: bool,  # noqa: FBT001
    min_groups: int,
) -> None:
    """A reading has values that its group sent, none older than `max_age`; one reading a sampling time."""
    run = Run(replace(rules[0], is_ordered=is_ordered), rules[1])
    with patch.object(stage_module, "_MIN_GROUPS_PER_ROUND", min_groups):
        run.run(steps)
    readings = run.readings()
    assert len({(group, ts) for group, ts, *_ in readings}) == len(readings)
    for group, ts, values, *_ in readings:
        for feature, (number, max_age) in enumerate(zip(values, rules[0].max_age, strict=True)):
            sent = run.sent[int(number)]
            assert (sent.group, sent.feature) == (group, feature)
            assert 0 <= ts - sent.ts <= max_age


@dataclass
class Sent:
    """A value on its way; seconds in eighths, so that sums are exact."""

    group: str
    feature: int
    pause: int  # since the group's feature sent its last value
    delay: int


@QUICK
@given(
    _long_lists(
        st.builds(
            Sent,
            st.sampled_from(GROUPS),
            st.integers(0, FEATURES - 1),
            st.integers(1, 40),
            st.integers(0, 23),
        ),
    ),
    st.sampled_from(RULES),
    st.booleans(),
    MIN_GROUPS,
)
def test_delays_below_wait_change_nothing(
    sent: list[Sent],
    rules: tuple[AlignmentRules, float],
    is_ordered: bool,  # noqa: FBT001
    min_groups: int,
) -> None:
    """Values that are under way for less than `wait` give the same readings as without delay.

    Where each feature's values arrive in order; with `is_ordered` off they may also overtake each other.
    """
    align = replace(rules[0], is_ordered=is_ordered, wait=3.0)
    undelayed, delayed = [], []
    for group in GROUPS:
        for feature in range(FEATURES):
            own = [value for value in sent if (value.group, value.feature) == (group, feature)]
            times = list(accumulate(value.pause / 8 for value in own))
            arrivals = [time + value.delay / 8 for time, value in zip(times, own, strict=True)]
            if is_ordered:
                arrivals = list(accumulate(arrivals, max))
            for time, arrival in zip(times, arrivals, strict=True):
                value = Value(group, feature, START + time, time, START + time, time)
                undelayed.append(value)
                delayed.append(replace(value, arrived_at=START + arrival, arrived=arrival))
    with patch.object(stage_module, "_MIN_GROUPS_PER_ROUND", min_groups):
        assert _align(align, undelayed) == _align(align, delayed)


def _align(rules: AlignmentRules, values: list[Value]) -> list[tuple[Any, ...]]:
    """Return group, time and values of the readings of values that are passed in batches of 5."""
    stage, readings = AlignmentStage(FEATURES, rules), []
    values = sorted(values, key=lambda value: value.arrived)
    batches = [values[first : first + 5] for first in range(0, len(values), 5)]
    for batch in [*batches, []]:
        readings += _samples(stage.push(_columns(batch), batch[-1].arrived if batch else inf))
    return sorted(sample[:3] for sample in readings)


@pytest.mark.parametrize("is_ordered", [False, True])
def test_many_groups_equal_the_reference(is_ordered: bool) -> None:  # noqa: FBT001
    """Batches of many groups, with rounds and with groups that send much more, equal the reference."""
    random = np.random.default_rng(7)
    rules, max_lead = replace(RULES[0][0], is_ordered=is_ordered), RULES[0][1]
    stage, reference = AlignmentStage(FEATURES, rules), Reference(FEATURES, rules, max_lead)
    readings, outcomes, now = [], [], 0.0
    for _ in range(30):
        batch = []
        for _ in range(300):
            now += float(random.exponential(0.02))
            group = "busy" if random.random() < 0.2 else f"g{random.integers(40)}"
            ts = START + now - float(random.exponential(2.0))
            number = nan if random.random() < 0.02 else float(random.random())
            batch.append(Value(group, int(random.integers(FEATURES)), ts, number, START + now, now))
        for value in batch:
            reference.push(value)
        aligned = stage.push(_columns(batch), now)
        readings += _samples(aligned)
        outcomes += [outcome.value for outcome in aligned.outcomes]
    for name in reference.groups:
        reference.tick(name, now)
    assert outcomes == reference.outcomes
    assert _by_group(readings) == _by_group(reference.readings)
    assert len(readings) > 1000
