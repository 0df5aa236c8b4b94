from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from monitor.core.rules import AlignmentRules
from monitor.core.values import ValueOutcome, Values
from monitor.ingest.alignment import AlignedBatch, AlignmentStage

RULES = AlignmentRules(period=10.0, wait=4.0, max_age=(15.0, 30.0), max_skew=20.0)
UNORDERED = replace(RULES, is_ordered=False)
Row = tuple[int, float, float]
"""Feature, event time and value."""


def _stage(rules: AlignmentRules = RULES) -> AlignmentStage:
    return AlignmentStage(2, rules)


def _push(
    stage: AlignmentStage,
    rows: list[Row],
    arrived: float | None = None,
    group: str = "g",
    **flags: bool,
) -> AlignedBatch:
    """Push values of a group; each arrives at its event time if no other time is given."""
    ts = np.array([row[1] for row in rows], np.float64)
    arrivals = ts if arrived is None else np.full(len(rows), arrived)
    now = float(arrivals.max(initial=0.0)) if arrived is None else arrived
    return stage.push(
        Values(
            groups=[group] * len(rows),
            features=np.array([row[0] for row in rows], np.intp),
            ts=ts,
            values=np.array([row[2] for row in rows], np.float64),
            arrived_at=arrivals,
            arrived_monotonic=arrivals,
            redelivered=np.full(len(rows), flags.get("redelivered", False)),
            retained=np.full(len(rows), flags.get("retained", False)),
        ),
        now if now < inf else 0.0,
    )


def _tick(stage: AlignmentStage, now: float) -> AlignedBatch:
    no_times, no_flags = np.empty(0), np.empty(0, np.bool_)
    no_values = Values([], np.empty(0, np.intp), no_times, no_times, no_times, no_times, no_flags)
    return stage.push(no_values, now)


def _readings(batch: AlignedBatch) -> list[tuple[float, list[float]]]:
    return list(zip(batch.readings.ts.tolist(), batch.readings.values.tolist(), strict=True))


def _stale(batch: AlignedBatch) -> list[tuple[float, list[bool]]]:
    return list(zip(batch.stale.ts.tolist(), batch.stale.is_stale.tolist(), strict=True))


def test_newest_value_of_each_feature() -> None:
    """A reading has the newest value of each feature at or before the sampling time."""
    batch = _push(_stage(), [(0, 101, 1), (0, 105, 2), (1, 110, 3), (0, 110.5, 4), (1, 111, 5)])
    assert _readings(batch) == [(110, [2, 3])]
    assert batch.readings.groups == ["g"]
    assert set(batch.outcomes) == {ValueOutcome.ACCEPTED}


def test_decided_when_each_feature_has_spoken() -> None:
    """In order, a sampling time is decided once each feature has a value at or after it."""
    stage = _stage()
    assert not _readings(_push(stage, [(0, 104, 1), (1, 105, 2), (0, 110, 3)]))
    assert _readings(_push(stage, [(1, 111, 4)])) == [(110, [3, 2])]


def test_order_of_several_topics_decides_nothing() -> None:
    """Without order, later values of each feature decide nothing: an earlier one may be under way."""
    stage = _stage(UNORDERED)
    assert not _readings(_push(stage, [(0, 104, 1), (1, 105, 2), (0, 111, 3), (1, 112, 4)]))
    assert _readings(_push(stage, [(0, 108, 5), (0, 114, 6)])) == [(110, [5, 2])]


def test_decided_by_event() -> None:
    """The newest event at or after the sampling time plus `wait` decides it."""
    stage = _stage()
    assert not _readings(_push(stage, [(0, 104, 1), (1, 105, 2), (0, 113.9, 3)]))
    assert _readings(_push(stage, [(0, 114, 4)])) == [(110, [1, 2])]


def test_decided_by_clock() -> None:
    """The clock decides `wait` after the sampling time, and not before."""
    stage = _stage()
    _push(stage, [(0, 104, 1), (1, 105, 2)])
    assert stage.next_deadline == 114
    assert not _readings(_tick(stage, 113.9))
    batch = _tick(stage, 120)
    assert _readings(batch) == [(110, [1, 2])]
    assert batch.readings.arrived_at.tolist() == batch.readings.arrived_monotonic.tolist() == [114]
    assert stage.next_deadline == inf


def test_late_message_leaves_wait_for_the_others() -> None:
    """After an outage the clock decides `wait` after the first message, not at once."""
    stage = _stage()
    _push(stage, [(0, 104, 1)], arrived=500)
    assert stage.next_deadline == 504
    assert _push(stage, [(1, 105, 2)], arrived=503).outcomes == [ValueOutcome.ACCEPTED]
    assert _readings(_tick(stage, 504)) == [(110, [1, 2])]


def test_value_holds_until_max_age() -> None:
    """A value is used again until it is older than `max_age`; then the sampling time is stale."""
    stage = _stage()
    batches = [_push(stage, [(0, 105, 1), (1, 105, 2)])]
    batches += [_push(stage, [(1, ts, ts)]) for ts in (115, 125, 135)]
    batches.append(_tick(stage, 144))
    assert [reading for batch in batches for reading in _readings(batch)] == [
        (110, [1, 2]),
        (120, [1, 115]),
    ]
    stale = [sample for batch in batches for sample in _stale(batch)]
    assert stale == [(130, [True, False]), (140, [True, False])]
    assert [batch.changed_groups for batch in batches if batch.stale.groups] == [["g"], []]
    assert stage.stale_features("g") == {0: 120}
    assert _push(stage, [(0, 145, 3), (1, 155, 4), (0, 155, 4)]).changed_groups == ["g"]
    assert stage.stale_features("g") == {}


def test_value_counts_once() -> None:
    """With `on_change` off a value counts for one sampling time only."""
    stage = _stage(replace(RULES, on_change=False))
    _push(stage, [(0, 105, 1), (1, 105, 2), (1, 115, 3)])
    batch = _tick(stage, 124)
    assert _stale(batch) == [(120, [True, False])]
    assert stage.stale_features("g") == {0: 115}


def test_no_news_is_nothing() -> None:
    """Sampling times without a new value give neither a reading nor a stale sample."""
    stage = _stage(replace(RULES, max_age=(inf, inf)))
    _push(stage, [(0, 105, 1), (1, 105, 2)])
    batch = _push(stage, [(0, 1_000_005, 3), (1, 1_000_010, 4), (0, 1_000_010, 5)])
    assert _readings(batch) == [(110, [1, 2]), (1_000_010, [5, 4])]
    assert not _stale(batch)


def test_missing_feature_is_in_the_sample_only() -> None:
    """A feature that never had a value makes samples stale, but isn't told as stale since some time."""
    stage = _stage()
    _push(stage, [(0, 105, 1)])
    assert _stale(_tick(stage, 114)) == [(110, [False, True])]
    assert stage.stale_features("g") == stage.stale_features("unknown") == {}


def test_absent_is_stale_at_once() -> None:
    """An absent marker ends the value before it, from its own time on."""
    stage = _stage()
    batch = _push(stage, [(0, 105, 1), (1, 105, 2), (1, 112, nan), (0, 112, 3), (0, 124, 4)])
    assert batch.outcomes[2] == ValueOutcome.ABSENT
    assert _readings(batch) == [(110, [1, 2])]
    assert _stale(batch) == [(120, [False, True])]
    assert stage.stale_features("g") == {1: 112}


def test_late_value_is_held() -> None:
    """A late value changes no decided reading; it is held if it is newer than the held one."""
    stage = _stage()
    _push(stage, [(0, 102, 1), (1, 105, 2), (0, 114, 3)])
    late = _push(stage, [(0, 108, 4), (0, 107, 5), (1, 109, 6)], arrived=115)
    assert late.outcomes == [ValueOutcome.LATE] * 3
    assert not _readings(late)
    assert _readings(_push(stage, [(0, 124, 7)])) == [(120, [3, 6])]


def test_older_value_of_the_same_sampling_time() -> None:
    """Of the values of a sampling time the newest counts, whatever their order of arrival."""
    batch = _push(_stage(), [(0, 105, 1), (0, 104, 2), (1, 110, 3), (0, 110, 4)], arrived=110)
    assert batch.outcomes[1] == ValueOutcome.LATE
    assert _readings(batch) == [(110, [4, 3])]


def test_first_of_two_duplicates_wins() -> None:
    """A value with the event time of a pending or a held one of its feature is dropped."""
    stage = _stage()
    batch = _push(stage, [(0, 105, 1), (0, 105, 9), (1, 110, 2), (0, 114, 3), (0, 105, 9)])
    duplicate = ValueOutcome.DUPLICATE
    assert [index for index, outcome in enumerate(batch.outcomes) if outcome == duplicate] == [1, 4]
    assert _readings(batch) == [(110, [1, 2])]


def test_future_value_is_dropped() -> None:
    """A value that is too far ahead of its arrival changes nothing, and adds no group."""
    stage = _stage()
    assert _push(stage, [(0, 120.1, 1)], arrived=100).outcomes == [ValueOutcome.FUTURE]
    assert stage.groups() == []
    assert _push(stage, [(0, 120, 1)], arrived=100).outcomes == [ValueOutcome.ACCEPTED]


@pytest.mark.parametrize("rules", [RULES, UNORDERED])
def test_sender_ahead_does_not_cut_off_the_others(rules: AlignmentRules) -> None:
    """A value ahead of its arrival decides nothing of the other features."""
    stage = _stage(rules)
    _push(stage, [(0, 125, 1), (1, 105, 2), (0, 105, 3)], arrived=106)
    assert _readings(_tick(stage, 114)) == [(110, [3, 2])]


def test_lead_is_limited_by_the_slots() -> None:
    """However long `max_skew` is, a value is at most 14 periods less `wait` ahead."""
    stage = _stage(replace(RULES, max_skew=1e6))
    batch = _push(stage, [(0, 236, 1), (0, 236.1, 1)], arrived=100)
    assert batch.outcomes == [ValueOutcome.ACCEPTED, ValueOutcome.FUTURE]


def test_silent_group_starts_afresh() -> None:
    """A silent group takes any event time, and forgets what it held."""
    stage = _stage()
    _push(stage, [(0, 105, 1), (1, 60, nan), (0, 114, 2)])
    assert stage.stale_features("g") == {1: 60}
    stage.mark_silent("g")
    batch = _push(stage, [(0, 5, 3), (1, 6, 4), (0, 10, 5), (1, 10, 6)], arrived=200)
    assert batch.outcomes == [ValueOutcome.ACCEPTED] * 4
    assert batch.changed_groups == ["g"]
    assert _readings(batch) == [(10, [5, 6])]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_retained_value_wakes_no_silent_group(is_restarted: bool) -> None:  # noqa: FBT001
    """A retained value of a silent group is dropped, also after a restart; of another group it counts."""
    stage = _stage()
    assert _push(stage, [(0, 105, 1)], retained=True).outcomes == [ValueOutcome.ACCEPTED]
    stage.mark_silent("g")
    if is_restarted:
        value, stage = stage.dump("g"), _stage()
        stage.load("g", value, 0.0)
    assert _push(stage, [(0, 115, 2)], retained=True).outcomes == [ValueOutcome.RETAINED]
    assert _push(stage, [(0, 15, 3)], arrived=115).outcomes == [ValueOutcome.ACCEPTED]


def test_redelivered_value_is_no_fresh_start() -> None:
    """A redelivered value that was decided before the group fell silent is late."""
    stage = _stage()
    _push(stage, [(0, 105, 1), (0, 114, 2)])
    stage.mark_silent("g")
    assert _push(stage, [(0, 104, 3)], redelivered=True, arrived=200).outcomes == [ValueOutcome.LATE]
    assert _push(stage, [(0, 104, 3)], arrived=200).outcomes == [ValueOutcome.ACCEPTED]


def test_future_value_wakes_no_silent_group() -> None:
    """A silent group is silent still after a value that is ahead of the clock."""
    stage = _stage()
    _push(stage, [(0, 105, 1), (0, 114, 2)])
    stage.mark_silent("g")
    assert _push(stage, [(0, 1e6, 3)], arrived=200).outcomes == [ValueOutcome.FUTURE]
    assert _push(stage, [(0, 5, 3)], arrived=200).outcomes == [ValueOutcome.ACCEPTED]


def test_recording_has_no_clock() -> None:
    """Without arrival times only events decide; `now` = inf decides what is pending at the end."""
    stage = _stage()
    recorded = Values(
        groups=["g"] * 2,
        features=np.array([0, 1]),
        ts=np.array([105.0, 106.0]),
        values=np.array([1.0, 2.0]),
        arrived_at=np.full(2, inf),
        arrived_monotonic=np.zeros(2),
        redelivered=np.zeros(2, np.bool_),
    )
    assert not _readings(stage.push(recorded, 1e9))
    assert stage.next_deadline == inf
    assert _readings(_tick(stage, inf)) == [(110, [1, 2])]


def test_pending_values_after_a_restart() -> None:
    """After a restart the clock leaves `wait` for what the broker delivers again."""
    stage, restarted = _stage(), _stage()
    _push(stage, [(0, 104, 1), (0, 111, 2)])
    restarted.load("g", stage.dump("g"), 7000.0)
    assert restarted.next_deadline == 7004
    assert restarted.dump("g") == stage.dump("g")
    assert _push(restarted, [(1, 105, 3)], arrived=113).outcomes == [ValueOutcome.ACCEPTED]
    assert _readings(_tick(restarted, 7004)) == [(110, [1, 3]), (120, [2, 3])]


def test_another_period_after_a_restart() -> None:
    """With another period, pending values are held, and their sampling times are decided."""
    stage, restarted = _stage(), _stage(replace(RULES, period=4.0))
    _push(stage, [(0, 94, 9), (1, 94, 8), (0, 104, 1), (1, 105, nan), (0, 109, 2)])
    restarted.load("g", stage.dump("g"), 0.0)
    assert restarted.next_deadline == inf
    assert _push(restarted, [(1, 110, 3), (0, 112, 4)]).outcomes == [
        ValueOutcome.LATE,  # 109 is of the sampling time 112
        ValueOutcome.LATE,
    ]
    assert _readings(_push(restarted, [(1, 113, 5), (0, 116, 6), (1, 116, 7)])) == [(116, [6, 7])]


def test_fewer_slots_after_a_restart() -> None:
    """Pending values that don't fit with a shorter `max_skew` are held."""
    stage, restarted = _stage(replace(RULES, max_skew=100.0)), _stage(replace(RULES, max_skew=0.0))
    _push(stage, [(0, 105, 1), (0, 175, 2)], arrived=100)
    restarted.load("g", stage.dump("g"), 0.0)
    assert restarted.next_deadline == inf
    assert _push(restarted, [(0, 175, 2)]).outcomes == [ValueOutcome.DUPLICATE]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda value: value[:0], "has 0 bytes"),
        (lambda value: value[:20], "has 20 bytes"),
        (lambda value: value[:-1], "has 111 bytes, expected 72 and a multiple of 40"),
        (lambda value: b"\x63\x00" + value[2:], "version 99"),
        (lambda value: value[:2] + b"\x05\x00" + value[4:], "with 5 values"),
    ],
)
def test_damaged_state_is_refused(damage, message: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """A damaged state is a `ValueError` that says what is wrong with it."""
    stage = _stage()
    _push(stage, [(0, 105, 1)])
    with pytest.raises(ValueError, match=message):
        _stage().load("g", damage(stage.dump("g")), 0.0)


def test_state_is_as_long_as_what_is_pending() -> None:
    """A group's state grows with its pending sampling times only; an unknown group is as a new one."""
    stage = _stage()
    unknown = len(stage.dump("g"))
    _push(stage, [(0, 105, 1)])
    assert len(stage.dump("g")) == unknown + 40
    _tick(stage, 200)
    assert len(stage.dump("g")) == unknown
    stage.load("new", _stage().dump("unknown"), 0.0)
    assert stage.dump("new") == stage.dump("unknown")


def test_forgotten_group() -> None:
    """A forgotten group leaves nothing, not even for the next group that gets its row."""
    stage = _stage()
    _push(stage, [(0, 105, 1), (1, 105, 2)])
    stage.forget("g")
    assert stage.groups() == []
    assert not _readings(_tick(stage, 200))
    _push(stage, [(0, 300, 1)], group="h")
    assert _stale(_tick(stage, 400)) == [(300, [False, True])]


def test_feature_ages() -> None:
    """The age of a feature is that of its newest value, held or pending; NaN if it never had one.

    Silent groups have no ages.
    """
    stage = _stage()
    _push(stage, [(0, 105, 1), (0, 111, 2)])
    _push(stage, [(1, 111, 2)], group="h")
    ages = stage.feature_ages(121.0)
    np.testing.assert_array_equal(ages[:2], [[10, nan], [nan, 10]])
    assert np.isnan(ages[2:]).all()
    stage.mark_silent("g")
    np.testing.assert_array_equal(stage.feature_ages(121.0)[:2], [[nan, nan], [nan, 10]])


def test_wait_beyond_the_slots_is_refused() -> None:
    """A `wait` of too many periods is an error that says how many are allowed."""
    with pytest.raises(ValueError, match=r"wait is 60 s, expected at most 13 sampling periods of 1 s"):
        _stage(replace(RULES, period=1.0, wait=60.0))


def test_many_groups_of_one_sampling_time() -> None:
    """Groups whose sampling time has come by the clock are one batch, each with its own values."""
    stage, count = _stage(), 5000
    times = np.full(2 * count, 105.0)
    values = Values(
        groups=[f"g{index % count}" for index in range(2 * count)],
        features=np.arange(2 * count) // count,
        ts=times,
        values=np.arange(2 * count, dtype=np.float64),
        arrived_at=times,
        arrived_monotonic=times,
        redelivered=np.zeros(2 * count, np.bool_),
    )
    stage.push(values, 105.0)
    readings = _tick(stage, 114.0).readings
    assert sorted(readings.groups) == sorted(values.groups[:count])
    expected = [[int(group[1:]), count + int(group[1:])] for group in readings.groups]
    np.testing.assert_array_equal(readings.values, expected)


def test_many_silent_groups_start_afresh() -> None:
    """Silent groups take any event time, also where a batch has one value of each of many."""
    stage = _stage()
    groups = [f"g{index}" for index in range(50)]
    for batch in (100.0, 5.0):
        outcomes = stage.push(
            Values(
                groups=groups,
                features=np.zeros(50, np.intp),
                ts=np.full(50, batch),
                values=np.ones(50),
                arrived_at=np.full(50, 200.0),
                arrived_monotonic=np.full(50, 200.0),
                redelivered=np.zeros(50, np.bool_),
            ),
            200.0,
        ).outcomes
        assert outcomes == [ValueOutcome.ACCEPTED] * 50
        for group in groups:
            stage.mark_silent(group)


@pytest.mark.parametrize("count", [1, 20])
def test_reading_is_never_ahead_of_its_arrival(count: int) -> None:
    """Readings of senders whose clocks are ahead come once the clock is there, so none is `future`."""
    stage, names = _stage(), [f"g{index}" for index in range(count)]
    for feature, ts, arrived in ((0, 103.0, 100.0), (1, 104.0, 100.0), (0, 111.0, 101.0), (1, 112.0, 101.0)):
        assert not _readings(_push_all(stage, names, feature, ts, arrived))
    _push_all(stage, names, 0, 121.0, 111.0)
    readings = _push_all(stage, names, 1, 122.0, 111.0).readings
    assert readings.ts.tolist() == [110.0] * count
    assert readings.arrived_at.tolist() == [111.0] * count


@pytest.mark.parametrize("groups", [1, 40])
def test_false_time_of_one_feature(groups: int) -> None:
    """A value ahead of the clock neither makes other values late nor speaks for its feature until then."""
    stage, names = _stage(), [f"g{number}" for number in range(groups)]
    for arrived in (100.0, 101.0):
        _push_all(stage, names, int(arrived - 100), arrived, arrived)
    _push_all(stage, names, 0, 119.0, 102.0)
    found: list[tuple[float, list[float]]] = []
    for feature, arrived in ((0, 105.0), (1, 106.0), (0, 111.0), (1, 112.0)):
        batch = _push_all(stage, names, feature, arrived, arrived)
        assert set(batch.outcomes) == {ValueOutcome.ACCEPTED}
        found += _readings(batch)
    assert found == [(110.0, [105.0, 106.0])] * groups


def _push_all(
    stage: AlignmentStage, groups: list[str], feature: int, ts: float, arrived: float
) -> AlignedBatch:
    """Push a value of one feature of each group; the value is its event time."""
    column, no_flags = np.ones(len(groups)), np.zeros(len(groups), np.bool_)
    return stage.push(
        Values(
            groups=groups,
            features=np.full(len(groups), feature),
            ts=column * ts,
            values=column * ts,
            arrived_at=column * arrived,
            arrived_monotonic=column * arrived,
            redelivered=no_flags,
        ),
        arrived,
    )
