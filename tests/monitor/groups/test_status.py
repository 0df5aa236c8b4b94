import random

import numpy as np
import pytest

from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.verdicts import GroupState, Judgements, State
from monitor.detect.scoring import Verdicts
from monitor.groups.status import StateBoard

STALE_AFTER = 60.0
Row = tuple[str, float, str]
"""Group, event time, outcome; `Faulty` and `Normal` are judged, with a `!` where out of range."""


class _Plant:
    """A board with its incidents, told in rows."""

    def __init__(self) -> None:
        self.incidents: dict[str, str] = {}
        self.board = StateBoard(STALE_AFTER, self.incidents.get)

    def hear(self, *rows: Row, now: float = 0.0) -> list[GroupState]:
        readings = Readings(
            groups=[group for group, *_ in rows],
            ts=np.array([ts for _, ts, _ in rows]),
            values=np.zeros((len(rows), 4)),
            arrived_at=np.zeros(len(rows)),
            received=np.zeros(len(rows)),
            redelivered=np.zeros(len(rows), dtype=bool),
        )
        judged = [index for index, row in enumerate(rows) if row[2][:6] in {"Faulty", "Normal"}]
        faulty = np.array([rows[index][2][:6] == "Faulty" for index in judged], dtype=bool)
        outcomes = [Outcome.JUDGED if index in judged else Outcome(row[2]) for index, row in enumerate(rows)]
        ts, values = np.zeros((len(judged), 3)), np.zeros((len(judged), 3, 4))
        flags = np.array([rows[index][2].endswith("!") for index in judged], dtype=bool)
        groups = [rows[index][0] for index in judged]
        judgements = Judgements(groups, ts, values, np.where(faulty, 0.9, 0.1), faulty, flags)
        windows = Windows(outcomes, np.array(judged, dtype=np.intp), ts, values)
        return self.board.update(readings, Verdicts(windows, judgements, [], values[:, -1]), now)

    def count(self) -> dict[str, int]:
        return {state.value: count for state, count in self.board.counts.items() if count}


@pytest.fixture
def plant() -> _Plant:
    """A board that knows no group yet."""
    return _Plant()


def test_first_reading_shows_filling(plant: _Plant) -> None:
    """A group's first reading shows it as filling, since that reading, without a score."""
    assert plant.hear(("g", 5.0, "filling")) == [
        GroupState("g", State.FILLING, 5.0, None, out_of_range=False, incident=None)
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
def test_state_follows_outcome(plant: _Plant, outcome: str, state: State) -> None:
    """A reading's outcome says its group's state, since that reading's event time."""
    plant.hear(("g", 1.0, "Normal" if outcome == "Faulty" else "Faulty"))
    (line,) = plant.hear(("g", 2.0, outcome))
    assert (line.state, line.since) == (state, 2.0)


def test_nothing_said_without_change(plant: _Plant) -> None:
    """A group whose state, flag and incident stay is not said again, and keeps its since."""
    plant.hear(("g", 1.0, "Normal"))
    assert plant.hear(("g", 2.0, "Normal"), ("g", 3.0, "skipped"), ("g", 4.0, "Normal")) == []
    (line,) = plant.hear(("g", 5.0, "Normal!"))
    assert (line.state, line.since, line.out_of_range) == (State.NORMAL, 1.0, True)


def test_incident_is_said(plant: _Plant) -> None:
    """An incident that opens or ends is said, also where the state stays."""
    plant.hear(("g", 1.0, "Faulty"))
    plant.incidents["g"] = "g:1000"
    (line,) = plant.hear(("g", 2.0, "Faulty"))
    assert (line.state, line.incident, line.score) == (State.FAULTY, "g:1000", 0.9)
    (line,) = plant.hear(("g", 3.0, "Normal"))
    assert (line.state, line.incident, line.score) == (State.NORMAL, "g:1000", 0.1)
    del plant.incidents["g"]
    (line,) = plant.hear(("g", 4.0, "Normal"))
    assert (line.state, line.since, line.incident) == (State.NORMAL, 3.0, None)


@pytest.mark.parametrize("outcome", ["duplicate", "late", "future"])
def test_dropped_readings_say_nothing(plant: _Plant, outcome: str) -> None:
    """A dropped reading neither makes a group known nor keeps it from going silent."""
    assert plant.hear(("g", 1.0, outcome)) == []
    assert plant.count() == {}
    plant.hear(("g", 2.0, "Normal"), now=0.0)
    assert plant.hear(("g", 2.0, outcome), now=59.0) == []
    (line,) = plant.board.silence(60.0)
    assert line.state is State.SILENT


def test_one_line_a_batch(plant: _Plant) -> None:
    """A batch says the last state of each group once."""
    lines = plant.hear(
        ("a", 1.0, "filling"), ("b", 1.0, "Faulty"), ("a", 2.0, "filling"), ("a", 3.0, "Normal")
    )
    assert [(line.group, line.state) for line in lines] == [("a", State.NORMAL), ("b", State.FAULTY)]


def test_silence(plant: _Plant) -> None:
    """A group is silent, once, when nothing was accepted for stale_after; since is its last reading."""
    plant.hear(("a", 3.0, "Faulty"), ("b", 7.0, "Normal"), ("a", 7.0, "Faulty"), now=100.0)
    plant.hear(("b", 8.0, "Normal"), now=130.0)
    assert plant.board.silence(159.9) == []
    assert plant.board.silence(160.0) == [
        GroupState("a", State.SILENT, 7.0, 0.9, out_of_range=False, incident=None)
    ]
    assert plant.board.silence(161.0) == []
    assert [line.group for line in plant.board.silence(190.0)] == ["b"]
    assert plant.board.silence(1e6) == []


def test_silence_keeps_the_incident(plant: _Plant) -> None:
    """A silent group still shows its open incident and flag."""
    plant.incidents["g"] = "g:1000"
    plant.hear(("g", 1.0, "Faulty!"))
    (line,) = plant.board.silence(60.0)
    assert (line.state, line.incident, line.out_of_range) == (State.SILENT, "g:1000", True)


def test_silent_group_speaks_again(plant: _Plant) -> None:
    """A silent group's next accepted reading brings it back, and it can go silent again."""
    plant.hear(("g", 1.0, "Normal"))
    plant.board.silence(60.0)
    (line,) = plant.hear(("g", 0.5, "filling"), now=61.0)
    assert (line.state, line.since) == (State.FILLING, 0.5)
    assert plant.board.silence(120.0) == []
    assert [line.state for line in plant.board.silence(121.0)] == [State.SILENT]


def test_counts(plant: _Plant) -> None:
    """Each known group is counted under its present state and no other."""
    plant.hear(("a", 1.0, "filling"), ("b", 1.0, "Normal"), ("c", 1.0, "Faulty"), ("d", 1.0, "Normal"))
    assert plant.count() == {"filling": 1, "normal": 2, "faulty": 1}
    plant.hear(("a", 2.0, "Normal"), ("b", 9.0, "gap"), now=30.0)
    assert plant.count() == {"filling": 1, "normal": 2, "faulty": 1}
    plant.board.silence(60.0)
    assert plant.count() == {"filling": 1, "normal": 1, "silent": 2}


def test_batches_say_what_single_readings_say(plant: _Plant) -> None:
    """A board that gets readings in large batches ends with the lines of one that gets them one by one."""
    chance, alone = random.Random(5), _Plant()  # noqa: S311, repeatable on purpose
    kinds = ["Normal"] * 60 + ["Normal!", "Faulty", "Faulty!", "gap", "filling", "late", "skipped", "warming"]
    names = [f"g{number}" for number in range(20)]
    for turn in range(30):
        rows = [(name, 100.0 * turn + k, chance.choice(kinds)) for k, name in enumerate(2 * names)]
        for board in (plant, alone):
            board.incidents.clear()
            board.incidents.update(
                {name: f"{name}:{turn // 3}" for name, _, kind in rows if "Faulty" in kind}
            )
        before = {line.group: _shown(line) for line in alone.board.lines()}
        for row in rows:
            alone.hear(row, now=turn)
        lines = alone.board.lines()
        changed = [line for line in lines if _shown(line) != before.get(line.group)]
        assert sorted(plant.hear(*rows, now=turn), key=str) == sorted(changed, key=str)
        assert sorted(plant.board.lines(), key=str) == sorted(lines, key=str)
        assert plant.count() == alone.count()


def _shown(line: GroupState) -> tuple[State, bool, float, str | None]:
    """Return what a line is published for when it changes."""
    return line.state, line.out_of_range, line.since, line.incident


def test_least_recent(plant: _Plant) -> None:
    """The silent groups come before the others, and within both those that were heard first."""
    plant.hear(*((name, 1.0, "Normal") for name in "abcd"), now=0.0)
    plant.hear(("c", 2.0, "Normal"), ("a", 2.0, "Normal"), now=50.0)
    plant.board.silence(60.0)
    plant.hear(("d", 2.0, "filling"), now=61.0)
    assert [plant.board.least_recent(count) for count in range(5)] == [
        [], ["b"], ["b", "c"], ["b", "c", "a"], ["b", "c", "a", "d"],
    ]  # fmt: skip
    assert plant.board.least_recent(9) == ["b", "c", "a", "d"]
    plant.board.forget("b")
    assert plant.board.least_recent(1) == ["c"]
