from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.rules import WindowRules
from monitor.detect.windows import WindowStage

QUICK = settings(derandomize=True, deadline=None, max_examples=150)
STEPS, FEATURES, MAX_GAP, MAX_SKEW = 3, 2, 5.0, 10.0
GroupTs = tuple[str, float]


def _stage(stride: int = 1) -> WindowStage:
    return WindowStage(STEPS, FEATURES, WindowRules(MAX_GAP, MAX_SKEW, stride))


def _readings(
    rows: list[GroupTs],
    first: int = 0,
    arrived_at: float = inf,
    *,
    redelivered: bool = False,
    retained: bool = False,
) -> Readings:
    """Build readings whose values are n and -n, where n counts the readings of the stream from `first`."""
    numbers = np.arange(first, first + len(rows), dtype=np.float64)
    return Readings(
        groups=[group for group, _ in rows],
        ts=np.array([ts for _, ts in rows], dtype=np.float64),
        values=np.stack([numbers, -numbers], axis=1),
        arrived_at=np.full(len(rows), arrived_at),
        arrived_monotonic=np.zeros(len(rows)),
        redelivered=np.full(len(rows), redelivered),
        retained=np.full(len(rows), retained),
    )


def _outcomes(ts: list[float], stride: int = 1, arrived_at: float = inf) -> str:
    """Return the outcomes of one group's readings as a string of their first letters."""
    rows = [("g", event_time) for event_time in ts]
    return "".join(outcome[0] for outcome in _stage(stride).push(_readings(rows, 0, arrived_at)).outcomes)


@pytest.mark.parametrize(
    ("ts", "outcomes"),
    [
        ([1, 2, 3, 4], "ffjj"),
        ([1, 1, 2, 2, 3, 3], "fdfdjd"),
        ([1, 2, 3, 2.5, 0, 4], "ffjllj"),
        ([1, 2, 3, 8, 9, 10], "ffjjjj"),
        ([1, 2, 3, 8.001, 9, 10, 11], "ffjgfjj"),
        ([1, 7, 13, 14, 15], "fggfj"),
        ([1, 2, 8, 7, 8, 9, 10], "ffgldfj"),
    ],
)
def test_outcomes(ts: list[float], outcomes: str) -> None:
    """Two readings are `filling`, the third `judged`; an equal ts is `duplicate`, a smaller one `late`.

    A ts more than `max_gap` after the last one is a `gap`.
    """
    assert _outcomes(ts) == outcomes


def test_future() -> None:
    """A reading ahead of the clock by more than `max_skew` is dropped and leaves the window as it is."""
    stage = _stage()
    first = stage.push(_readings([("g", 1), ("g", 2)], 0, arrived_at=2))
    assert first.outcomes == [Outcome.FILLING, Outcome.FILLING]
    second = stage.push(_readings([("g", 13.001), ("g", 3), ("h", 99)], 2, arrived_at=3))
    assert second.outcomes == [Outcome.FUTURE, Outcome.JUDGED, Outcome.FUTURE]
    assert stage.groups() == ["g"]
    third = stage.push(_readings([("h", 13), ("h", 13.5)], 5, arrived_at=3))
    assert third.outcomes == [Outcome.FILLING, Outcome.FUTURE]


def _outcomes_at(ts_and_arrivals: list[tuple[float, float]], *, redelivered: bool = False) -> str:
    """Return the outcomes of readings of one group, each with its arrival, as in `_outcomes`."""
    stage = _stage()
    batches = [
        stage.push(_readings([("g", ts)], number, arrived_at, redelivered=redelivered))
        for number, (ts, arrived_at) in enumerate(ts_and_arrivals)
    ]
    return "".join(batch.outcomes[0][0] for batch in batches)


@pytest.mark.parametrize(
    ("ts_and_arrivals", "outcomes"),
    [
        ([(1, 1), (2, 2), (3, 3), (12, 3), (4, 4), (5, 5)], "ffjfjj"),
        ([(1, 1), (2, 2), (3, 3), (7, 3), (4, 4), (5, 5)], "ffjjjj"),
        # A false one after each true one.
        ([(1, 1), (2, 2), (3, 3), (7, 3), (4, 4), (8, 4), (5, 5), (9, 5), (6, 6)], "ffjjjjjjj"),
        # A gap by the clock as well.
        ([(1, 1), (2, 2), (3, 3), (12, 9), (13, 10), (14, 11)], "ffjgfj"),
        # The group's first readings; the next is at the clock's time, or far behind it.
        ([(9, 1), (2, 2), (3, 3), (4, 4)], "fffj"),
        ([(90, 85), (70, 85), (86, 86)], "flf"),
        # What was there before stays late or a duplicate.
        ([(1, 1), (2, 2), (3, 3), (7, 3), (3, 4), (2.5, 4), (7, 4), (4, 4)], "ffjjlldj"),
        # A station whose clock is ahead.
        ([(4, 1), (5, 2), (6, 3), (6, 3), (7, 4)], "ffjdj"),
    ],
)
def test_false_time(ts_and_arrivals: list[tuple[float, float]], outcomes: str) -> None:
    """A time ahead of the clock makes no reading at the clock's time late, nor a gap before it.

    (`f` is `filling`, but `future` for the reading at 12 in the first case.)
    """
    assert _outcomes_at(ts_and_arrivals) == outcomes


def test_false_time_in_a_redelivered_reading() -> None:
    """What the broker may have delivered before stays late: it may have been judged."""
    assert _outcomes_at([(4, 1), (5, 2), (6, 3), (3.5, 4)], redelivered=True) == "ffjl"


def test_false_time_leaves_the_window() -> None:
    """The window that the next reading completes has only the readings before the false one."""
    stage = _stage()
    stage.push(_readings([("g", 1), ("g", 2)], 0, arrived_at=2))
    stage.push(_readings([("g", 6)], 2, arrived_at=2))
    windows = stage.push(_readings([("g", 3)], 3, arrived_at=3))
    assert windows.ts.tolist() == [[1, 2, 3]]
    assert windows.values[0, :, 0].tolist() == [0, 1, 3]


@QUICK
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=20, max_size=60))
def test_no_false_times_blind_a_group(steps: list[tuple[int, bool]]) -> None:
    """However false times are strewn in, one at a time, each true reading from the third on is judged."""
    stage, true_outcomes = _stage(), []
    for number, (lead, has_false) in enumerate(steps):
        now = 2.0 * number
        true_outcomes += stage.push(_readings([("g", now)], 2 * number, now)).outcomes
        if has_false:
            stage.push(_readings([("g", now + lead + 0.5)], 2 * number + 1, now))
    assert set(true_outcomes[2:]) <= {Outcome.JUDGED}


@pytest.mark.parametrize("accepted", [0, 1])
def test_future_in_a_large_batch(accepted: int) -> None:
    """In a large batch all readings, or all but one, may be ahead of the clock."""
    future_rows = [(f"{number}", 99.0) for number in range(30)]
    windows = _stage().push(_readings([("g", 1.0)][:accepted] + future_rows, 0, arrived_at=3))
    assert windows.outcomes == [Outcome.FILLING][:accepted] + [Outcome.FUTURE] * 30
    assert len(windows.ts) == 0


def test_window_holds_the_newest_readings() -> None:
    """A window holds the last readings of its own group, oldest first, without dropped readings."""
    rows = [("a", 1), ("b", 1), ("a", 2), ("a", 2), ("b", 2), ("a", 1.5), ("a", 3), ("a", 4)]
    windows = _stage().push(_readings(rows))
    assert windows.reading_indices.tolist() == [6, 7]
    assert windows.ts.tolist() == [[1, 2, 3], [2, 3, 4]]
    assert windows.values.tolist() == [[[0, 0], [2, -2], [6, -6]], [[2, -2], [6, -6], [7, -7]]]


def test_gap_restarts_the_window() -> None:
    """A gap restarts the window: no window spans it, and the next window begins with the reading after it."""
    windows = _stage().push(_readings([("g", ts) for ts in (1, 2, 3, 9, 10, 11)]))
    assert windows.ts.tolist() == [[1, 2, 3], [9, 10, 11]]


@pytest.mark.parametrize(
    ("stride", "outcomes"), [(1, "ffjjjjjgfjjj"), (2, "ffjsjsjgfjsj"), (4, "ffjsssjgfjss")]
)
def test_stride(stride: int, outcomes: str) -> None:
    """The first window after a restart is judged, and every stride-th after it."""
    assert _outcomes([1, 2, 3, 4, 5, 6, 7, 20, 21, 22, 23, 24], stride) == outcomes


@pytest.mark.parametrize("method", ["mark_silent", "forget"])
def test_silent_group_restarts_at_any_ts(method: str) -> None:
    """A silent or removed group restarts with any event time; other groups are not affected."""
    stage = _stage()
    stage.push(_readings([("g", 100), ("g", 101), ("h", 1), ("h", 2)]))
    getattr(stage, method)("g")
    getattr(stage, method)("unknown")
    assert ("g" in stage.groups()) == (method == "mark_silent")
    windows = stage.push(_readings([("g", 1), ("g", 2), ("g", 3), ("h", 3)], 4))
    assert [outcome[0] for outcome in windows.outcomes] == ["f", "f", "j", "j"]


def test_redelivery_to_a_silent_group() -> None:
    """A redelivered reading does not restart a silent group: it may have been judged before the silence."""
    stage = _stage()
    stage.push(_readings([("g", 100), ("g", 101), ("g", 102)]))
    stage.mark_silent("g")
    moved = _stage()
    moved.load("g", stage.dump("g"))
    windows = moved.push(_readings([("g", 101), ("g", 102), ("g", 103), ("g", 104)], redelivered=True))
    assert [outcome[0] for outcome in windows.outcomes] == ["l", "d", "f", "f"]


@pytest.mark.parametrize("other_readings", [0, 20])
def test_retained_reading_of_a_silent_group(other_readings: int) -> None:
    """A retained reading does not restart a silent group, in a batch of any size; the next live one does."""
    stage = _stage()
    stage.push(_readings([("g", 100), ("g", 101), ("g", 102)]))
    stage.mark_silent("g")
    others = [("h", float(number)) for number in range(other_readings)]
    windows = stage.push(_readings([*others, ("g", 101), ("g", 102), ("g", 103)], retained=True))
    assert windows.outcomes[-3:] == [Outcome.LATE, Outcome.DUPLICATE, Outcome.RETAINED]
    live = stage.push(_readings([("g", 90), ("g", 91), ("g", 92)]))
    assert live.outcomes == [Outcome.FILLING, Outcome.FILLING, Outcome.JUDGED]


def test_retained_reading_of_a_live_group() -> None:
    """A retained reading of a group that is not silent is judged by its event time."""
    stage = _stage()
    windows = stage.push(_readings([("g", 1), ("g", 2), ("g", 2), ("g", 3)], retained=True))
    assert [outcome[0] for outcome in windows.outcomes] == ["f", "f", "d", "j"]


def test_retained_reading_of_a_group_that_never_spoke() -> None:
    """A group that is silent because no reading of it ever came stays silent, in another process too."""
    stage = _stage()
    stage.mark_silent("g")
    moved = _stage()
    moved.load("g", stage.dump("g"))
    assert moved.push(_readings([("g", 5.0)], retained=True)).outcomes == [Outcome.RETAINED]
    assert moved.push(_readings([("g", 5.0)])).outcomes == [Outcome.FILLING]


def test_dump_of_an_unknown_group() -> None:
    """An unknown group is dumped as a group without readings."""
    other = _stage()
    other.load("g", _stage().dump("g"))
    assert other.push(_readings([("g", 5.0)])).outcomes == [Outcome.FILLING]


def test_no_readings() -> None:
    """An empty batch gives empty arrays of the right shapes."""
    nothing = np.empty(0)
    readings = Readings([], nothing, np.empty((0, FEATURES)), nothing, nothing, np.empty(0, dtype=np.bool_))
    windows = _stage().push(readings)
    assert (windows.outcomes, windows.ts.shape) == ([], (0, STEPS))
    assert windows.values.shape == (0, STEPS, FEATURES)


def _dump_group() -> bytes:
    stage = _stage()
    stage.push(_readings([("g", 1), ("g", 2)]))
    return stage.dump("g")


@pytest.mark.parametrize(("steps", "features"), [(STEPS, FEATURES + 1), (1, FEATURES)])
def test_load_rejects_other_shapes(steps: int, features: int) -> None:
    """State of another shape is rejected and adds no group."""
    stage = WindowStage(steps, features, WindowRules(MAX_GAP))
    with pytest.raises(ValueError, match=f"expected version 2 with {steps} x {features}"):
        stage.load("g", _dump_group())
    assert stage.groups() == []


def test_load_rejects_other_versions() -> None:
    """State of another version is rejected with both versions."""
    with pytest.raises(ValueError, match=r"is version 99 .* expected version 2"):
        _stage().load("g", bytes([99]) + _dump_group()[1:])


@pytest.mark.parametrize("length", [0, 3, 9, -9, -8, -1])
def test_load_rejects_truncated_state(length: int) -> None:
    """Truncated state is rejected with a ValueError and adds no group."""
    stage = _stage()
    with pytest.raises(ValueError):  # noqa: PT011, the message depends on the length
        stage.load("g", _dump_group()[:length])
    assert stage.groups() == []


@dataclass
class _ReferenceModel:
    """The rules in a simple and slow form."""

    stride: int
    runs: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """The last readings of each group: (event time, number)."""
    complete: dict[str, int] = field(default_factory=dict)
    """Complete windows of each group since its last restart."""

    def push(self, number: int, group: str, ts: float, now: float) -> tuple[Outcome, list[tuple[float, int]]]:
        run = self.runs.get(group, [])
        if ts - now > MAX_SKEW:
            return Outcome.FUTURE, []
        if run and ts < run[-1][0] and ts not in {other for other, _ in run}:
            past = [item for item in run if item[0] <= now]
            if len(past) < len(run) and ts > (past[-1][0] if past else now - MAX_SKEW):
                run = past
        incomplete_outcome = Outcome.FILLING
        if run and ts <= run[-1][0]:
            return (Outcome.DUPLICATE if ts == run[-1][0] else Outcome.LATE), []
        if run and ts - run[-1][0] > MAX_GAP:
            if now - run[-1][0] <= MAX_GAP:
                return Outcome.FUTURE, []
            run, incomplete_outcome = [], Outcome.GAP
        if not run:
            self.complete[group] = 0
        self.runs[group] = run = [*run, (ts, number)][-STEPS:]
        if len(run) < STEPS:
            return incomplete_outcome, []
        self.complete[group] += 1
        is_judged = (self.complete[group] - 1) % self.stride == 0
        return (Outcome.JUDGED, run) if is_judged else (Outcome.SKIPPED, [])


STREAMS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from([1, 1, 1, 1, 2, 5, 6, 0, -1, -9, 40])), max_size=40
)
STRIDES = st.integers(1, 3)
NOW = 50.0


def _stream(jumps: list[tuple[str, int]]) -> list[GroupTs]:
    """Turn differences from each group's newest event time into event times."""
    newest: dict[str, int] = {}
    rows: list[GroupTs] = []
    for group, jump in jumps:
        ts = newest.get(group, 0) + jump
        rows.append((group, float(ts)))
        if ts <= NOW + MAX_SKEW:
            newest[group] = max(ts, newest.get(group, 0))
    return rows


def _push_one_by_one(
    stages: list[WindowStage], rows: list[GroupTs], hosts: list[int]
) -> list[tuple[Outcome, list[list[float]], list[list[list[float]]]]]:
    """Push each reading into the stage with the index in `hosts`, after moving its group there."""
    host_by_group: dict[str, int] = {}
    results = []
    for number, row in enumerate(rows):
        group, host = row[0], hosts[number % len(hosts)] if hosts else 0
        source, target = stages[host_by_group.get(group, host)], stages[host]
        if source is not target and group in source.groups():
            target.load(group, source.dump(group))
            source.forget(group)
        host_by_group[group] = host
        windows = target.push(_readings([row], number, NOW))
        results.append((windows.outcomes[0], windows.ts.tolist(), windows.values.tolist()))
    return results


@QUICK
@given(STREAMS, STRIDES)
def test_outcomes_equal_reference_model(jumps: list[tuple[str, int]], stride: int) -> None:
    """Outcomes and windows equal the reference model's for any order, duplicates, gaps and stride."""
    rows, model = _stream(jumps), _ReferenceModel(stride)
    expected = []
    for number, (group, ts) in enumerate(rows):
        outcome, window = model.push(number, group, ts, NOW)
        times = [[ts for ts, _ in window]] if window else []
        values = [[[float(n), float(-n)] for _, n in window]] if window else []
        expected.append((outcome, times, values))
    assert _push_one_by_one([_stage(stride)], rows, []) == expected


@QUICK
@given(STREAMS, STRIDES, st.lists(st.integers(0, 1), min_size=1, max_size=40))
def test_moving_groups_makes_no_difference(
    jumps: list[tuple[str, int]], stride: int, hosts: list[int]
) -> None:
    """Groups that move between two stages in mid-stream give the same windows as if they stayed."""
    rows = _stream(jumps)
    moved = _push_one_by_one([_stage(stride), _stage(stride)], rows, hosts)
    assert moved == _push_one_by_one([_stage(stride)], rows, [])


@QUICK
@given(STREAMS, STRIDES, st.sets(st.integers(0, 40)))
def test_batches_make_no_difference(jumps: list[tuple[str, int]], stride: int, cuts: set[int]) -> None:
    """A stream gives the same windows however it is split into batches."""
    rows = _stream(jumps)
    boundaries = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    stage, parts = _stage(stride), []
    for begin, end in pairwise(boundaries):
        windows = stage.push(_readings(rows[begin:end], begin, NOW))
        parts.append((windows, begin))
    assert _merge_results(parts) == _merge_results([(_stage(stride).push(_readings(rows, 0, NOW)), 0)])


def _merge_results(parts: list[tuple[Windows, int]]) -> tuple[list[object], ...]:
    return (
        [outcome for windows, _ in parts for outcome in windows.outcomes],
        [row + begin for windows, begin in parts for row in windows.reading_indices.tolist()],
        [ts for windows, _ in parts for ts in windows.ts.tolist()],
        [values for windows, _ in parts for values in windows.values.tolist()],
    )
