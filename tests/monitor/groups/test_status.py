import random

import numpy as np
import pytest

from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.verdicts import GroupStatus, JudgedWindows, State
from monitor.detect.scoring import ScoredBatch
from monitor.groups.status import StatusTable

STALE_AFTER = 60.0
Row = tuple[str, float, str]
"""Group, event time, outcome; `Faulty` and `Normal` are judged, with a `!` where out of range."""


class _StatusHarness:
    """A status table with incidents, whose batches are given as rows."""

    def __init__(self) -> None:
        self.incidents: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.status = StatusTable(
            STALE_AFTER, self.incidents.get, self.kinds.get, lambda _: (), lambda _: None
        )

    def push(self, *rows: Row, now: float = 0.0) -> list[GroupStatus]:
        readings = Readings(
            groups=[group for group, *_ in rows],
            ts=np.array([ts for _, ts, _ in rows]),
            values=np.zeros((len(rows), 4)),
            arrived_at=np.zeros(len(rows)),
            arrived_monotonic=np.zeros(len(rows)),
            redelivered=np.zeros(len(rows), dtype=bool),
        )
        judged = [index for index, row in enumerate(rows) if row[2][:6] in {"Faulty", "Normal"}]
        faulty = np.array([rows[index][2][:6] == "Faulty" for index in judged], dtype=bool)
        outcomes = [Outcome.JUDGED if index in judged else Outcome(row[2]) for index, row in enumerate(rows)]
        ts, values = np.zeros((len(judged), 3)), np.zeros((len(judged), 3, 4))
        flags = np.array([rows[index][2].endswith("!") for index in judged], dtype=bool)
        groups = [rows[index][0] for index in judged]
        scores, detectors = np.where(faulty, 0.9, 0.1), faulty.astype(np.uint8)
        judgements = JudgedWindows(groups, ts, values, scores, faulty, flags, detectors)
        windows = Windows(outcomes, np.array(judged, dtype=np.intp), ts, values)
        return self.status.update(readings, ScoredBatch(windows, judgements, [], values[:, -1]), now)

    def counts(self) -> dict[str, int]:
        return {state.value: count for state, count in self.status.counts.items() if count}


@pytest.fixture
def harness() -> _StatusHarness:
    """A status table without groups."""
    return _StatusHarness()


def test_first_reading_shows_filling(harness: _StatusHarness) -> None:
    """A group's first reading makes the group filling, since that reading, without a score."""
    assert harness.push(("g", 5.0, "filling")) == [
        GroupStatus("g", State.FILLING, 5.0, None, out_of_range=False, incident=None)
    ]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("Normal", State.NORMAL),
        ("Faulty", State.FAULTY),
        ("gap", State.FILLING),
        ("warming", State.WARMING),
    ],
)
def test_state_follows_outcome(harness: _StatusHarness, outcome: str, state: State) -> None:
    """The outcome of a reading sets the state of its group, since the event time of the reading."""
    harness.push(("g", 1.0, "Normal" if outcome == "Faulty" else "Faulty"))
    (status,) = harness.push(("g", 2.0, outcome))
    assert (status.state, status.since) == (state, 2.0)


def test_no_status_without_change(harness: _StatusHarness) -> None:
    """A group whose state, flag and incident stay the same is not returned again; `since` is unchanged."""
    harness.push(("g", 1.0, "Normal"))
    assert harness.push(("g", 2.0, "Normal"), ("g", 3.0, "skipped"), ("g", 4.0, "Normal")) == []
    (status,) = harness.push(("g", 5.0, "Normal!"))
    assert (status.state, status.since, status.out_of_range) == (State.NORMAL, 1.0, True)


def test_incident_change_is_reported(harness: _StatusHarness) -> None:
    """A status is returned when an incident opens or ends, even if the state stays the same."""
    harness.push(("g", 1.0, "Faulty"))
    harness.incidents["g"] = "g:1000"
    (status,) = harness.push(("g", 2.0, "Faulty"))
    assert (status.state, status.incident, status.score) == (State.FAULTY, "g:1000", 0.9)
    (status,) = harness.push(("g", 3.0, "Normal"))
    assert (status.state, status.incident, status.score) == (State.NORMAL, "g:1000", 0.1)
    del harness.incidents["g"]
    (status,) = harness.push(("g", 4.0, "Normal"))
    assert (status.state, status.since, status.incident) == (State.NORMAL, 3.0, None)


def test_kind_change_is_reported(harness: _StatusHarness) -> None:
    """A status is returned when the kind of an open incident's fault becomes known, or changes."""
    harness.incidents["g"] = "g:1000"
    assert [status.kind for status in harness.push(("g", 1.0, "Faulty"))] == [None]
    harness.kinds["g"] = "offset"
    assert [status.kind for status in harness.push(("g", 2.0, "Faulty"))] == ["offset"]
    assert harness.push(("g", 3.0, "Faulty")) == []
    harness.kinds["g"] = "gain"
    assert [status.kind for status in harness.push(("g", 4.0, "Faulty"))] == ["gain"]
    harness.kinds.clear()
    harness.incidents.clear()
    assert [status.kind for status in harness.push(("g", 5.0, "Normal"))] == [None]


@pytest.mark.parametrize("outcome", ["duplicate", "late", "future"])
def test_dropped_readings_change_nothing(harness: _StatusHarness, outcome: str) -> None:
    """A dropped reading neither adds a group nor prevents that the group becomes silent."""
    assert harness.push(("g", 1.0, outcome)) == []
    assert harness.counts() == {}
    harness.push(("g", 2.0, "Normal"), now=0.0)
    assert harness.push(("g", 2.0, outcome), now=59.0) == []
    (status,) = harness.status.mark_silent(60.0)
    assert status.state is State.SILENT


def test_one_status_per_group_and_batch(harness: _StatusHarness) -> None:
    """A batch returns the last status of each group once."""
    statuses = harness.push(
        ("a", 1.0, "filling"), ("b", 1.0, "Faulty"), ("a", 2.0, "filling"), ("a", 3.0, "Normal")
    )
    assert [(status.group, status.state) for status in statuses] == [("a", State.NORMAL), ("b", State.FAULTY)]


def test_silence(harness: _StatusHarness) -> None:
    """A group is silent, once, when nothing was accepted for stale_after; since is its last reading."""
    harness.push(("a", 3.0, "Faulty"), ("b", 7.0, "Normal"), ("a", 7.0, "Faulty"), now=100.0)
    harness.push(("b", 8.0, "Normal"), now=130.0)
    assert harness.status.mark_silent(159.9) == []
    assert harness.status.mark_silent(160.0) == [
        GroupStatus("a", State.SILENT, 7.0, 0.9, out_of_range=False, incident=None, detector="model")
    ]
    assert harness.status.mark_silent(161.0) == []
    assert [status.group for status in harness.status.mark_silent(190.0)] == ["b"]
    assert harness.status.mark_silent(1e6) == []


def test_status_before_there_were_checks(harness: _StatusHarness) -> None:
    """A status that was saved before it had a detector is loaded, without one."""
    harness.push(("g", 1.0, "Faulty"))
    value = harness.status.dump("g")
    assert value is not None
    harness.status.load("g", value[:-1], 0.0)
    (status,) = harness.status.statuses(["g"])
    assert (status.state, status.score, status.detector) == (State.FAULTY, 0.9, "")


def test_silence_keeps_the_incident(harness: _StatusHarness) -> None:
    """A silent group still shows its open incident and flag."""
    harness.incidents["g"] = "g:1000"
    harness.push(("g", 1.0, "Faulty!"))
    (status,) = harness.status.mark_silent(60.0)
    assert (status.state, status.incident, status.out_of_range) == (State.SILENT, "g:1000", True)


def test_silent_group_resumes(harness: _StatusHarness) -> None:
    """The next accepted reading ends the silence of a group, and it can become silent again."""
    harness.push(("g", 1.0, "Normal"))
    harness.status.mark_silent(60.0)
    (status,) = harness.push(("g", 0.5, "filling"), now=61.0)
    assert (status.state, status.since) == (State.FILLING, 0.5)
    assert harness.status.mark_silent(120.0) == []
    assert [status.state for status in harness.status.mark_silent(121.0)] == [State.SILENT]


def test_counts(harness: _StatusHarness) -> None:
    """Each group is counted under its present state only."""
    harness.push(("a", 1.0, "filling"), ("b", 1.0, "Normal"), ("c", 1.0, "Faulty"), ("d", 1.0, "Normal"))
    assert harness.counts() == {"filling": 1, "normal": 2, "faulty": 1}
    harness.push(("a", 2.0, "Normal"), ("b", 9.0, "gap"), now=30.0)
    assert harness.counts() == {"filling": 1, "normal": 2, "faulty": 1}
    harness.status.mark_silent(60.0)
    assert harness.counts() == {"filling": 1, "normal": 1, "silent": 2}


def test_batches_equal_single_readings(harness: _StatusHarness) -> None:
    """Large batches give the same statuses as the same readings one by one."""
    rng, single = random.Random(5), _StatusHarness()  # noqa: S311, repeatable on purpose
    kinds = ["Normal"] * 60 + ["Normal!", "Faulty", "Faulty!", "gap", "filling", "late", "skipped", "warming"]
    names = [f"g{number}" for number in range(20)]
    for turn in range(30):
        rows = [(name, 100.0 * turn + k, rng.choice(kinds)) for k, name in enumerate(2 * names)]
        for target in (harness, single):
            target.incidents.clear()
            target.incidents.update(
                {name: f"{name}:{turn // 3}" for name, _, kind in rows if "Faulty" in kind}
            )
        before = {status.group: _published_fields(status) for status in single.status.statuses()}
        for row in rows:
            single.push(row, now=turn)
        statuses = single.status.statuses()
        changed = [status for status in statuses if _published_fields(status) != before.get(status.group)]
        assert sorted(harness.push(*rows, now=turn), key=str) == sorted(changed, key=str)
        assert sorted(harness.status.statuses(), key=str) == sorted(statuses, key=str)
        assert harness.counts() == single.counts()


def _published_fields(status: GroupStatus) -> tuple[State, bool, float, str | None]:
    """Return the fields whose change causes a publication."""
    return status.state, status.out_of_range, status.since, status.incident


def test_least_recent(harness: _StatusHarness) -> None:
    """Silent groups come first; in both parts the groups with the oldest readings come first."""
    harness.push(*((name, 1.0, "Normal") for name in "abcd"), now=0.0)
    harness.push(("c", 2.0, "Normal"), ("a", 2.0, "Normal"), now=50.0)
    harness.status.mark_silent(60.0)
    harness.push(("d", 2.0, "filling"), now=61.0)
    assert [harness.status.least_recent(count) for count in range(5)] == [
        [], ["b"], ["b", "c"], ["b", "c", "a"], ["b", "c", "a", "d"],
    ]  # fmt: skip
    assert harness.status.least_recent(9) == ["b", "c", "a", "d"]
    harness.status.forget("b")
    assert harness.status.least_recent(1) == ["c"]
