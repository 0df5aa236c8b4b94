from dataclasses import replace

import pytest

from monitor.core.verdicts import AlertEvent
from monitor.groups.incidents import Incidents


def _event(number: int, status: str = "firing", group: str = "g") -> AlertEvent:
    ended_at = None if status == "firing" else number + 0.5
    window = [[20.0] * 4] * 3
    return AlertEvent(
        f"{group}:{number}", status, group, 0.9, float(number), ended_at, [1.0, 2.0, 3.0], window,
        out_of_range=False,
    )  # fmt: skip


class _Gate:
    """Incidents of one group, muted on demand."""

    def __init__(self) -> None:
        self.incidents = Incidents()
        self.muted = False
        self.open: str | None = None

    def take(self, *events: AlertEvent) -> list[tuple[str, str]]:
        for event in events:
            self.open = event.id if event.status == "firing" else None
        return self._told(self.incidents.pass_on(events, lambda _: self.muted))

    def release(self) -> list[tuple[str, str]]:
        return self._told(self.incidents.release(lambda _: self.muted, lambda _: self.open))

    def past(self) -> str | None:
        """Settle; return the id of the incident that is over, if the store is still to take it."""
        self.incidents.settle(["g", "unknown"], lambda _: self.open)
        value = self.incidents.past.get("g")
        return None if value is None else self.incidents.read("g", value).event.id

    def restart(self) -> None:
        value = self.incidents.dump("g")
        self.incidents = Incidents()
        self.incidents.load("g", value)

    @staticmethod
    def _told(events: list[AlertEvent]) -> list[tuple[str, str]]:
        return [(event.id, event.status) for event in events]


@pytest.fixture
def gate() -> _Gate:
    """No incident yet."""
    return _Gate()


def test_nobody_muted(gate: _Gate) -> None:
    """Events of groups that aren't muted pass in their order, repeated ones too."""
    events = [_event(1), _event(1), _event(1, "resolved"), _event(2)]
    assert gate.take(*events) == [(event.id, event.status) for event in events]
    assert gate.release() == []


@pytest.mark.parametrize("restart", [True, False])
def test_still_open(gate: _Gate, *, restart: bool) -> None:
    """An incident that began muted and is still open is told when that ends, and then its end as well."""
    gate.muted = True
    assert gate.take(_event(1), _event(1)) == []
    assert gate.release() == []
    gate.muted = False
    if restart:
        gate.restart()
        assert gate.incidents.recalled
    assert gate.release() == [("g:1", "firing")]
    assert gate.release() == []
    assert gate.take(_event(1, "resolved")) == [("g:1", "resolved")]


def test_came_and_went(gate: _Gate) -> None:
    """Of an incident that came and went while muted nothing is ever told."""
    gate.muted = True
    assert gate.take(_event(1), _event(1, "resolved")) == []
    gate.muted = False
    assert gate.release() == []
    assert gate.take(_event(2)) == [("g:2", "firing")]


def test_went_while_muted_told_unmuted(gate: _Gate) -> None:
    """The end of an incident that came muted isn't told after that either."""
    gate.muted = True
    gate.take(_event(1))
    gate.muted = False
    assert gate.take(_event(1, "resolved")) == []
    assert gate.release() == []


@pytest.mark.parametrize("restart", [True, False])
def test_end_that_is_owed(gate: _Gate, *, restart: bool) -> None:
    """The end of an incident that was told waits while muted, and comes before what is open then."""
    assert gate.take(_event(1)) == [("g:1", "firing")]
    gate.muted = True
    assert gate.take(_event(1, "resolved"), _event(2), _event(2, "resolved"), _event(3)) == []
    if restart:
        gate.restart()
    gate.muted = False
    assert gate.release() == [("g:1", "resolved"), ("g:3", "firing")]
    assert gate.take(_event(3, "resolved")) == [("g:3", "resolved")]


def test_said_again(gate: _Gate) -> None:
    """An incident that goes on is told again, but not while muted, also where it was never told before."""
    again = [("g:1", "firing")]
    assert gate.take(_event(1), replace(_event(1), repeat=1)) == 2 * again
    gate.muted = True
    assert gate.take(replace(_event(1), repeat=2)) == []
    gate.muted = False
    assert gate.take(replace(_event(1), repeat=3)) == again
    assert gate.take(replace(_event(1), repeat=4)) == again
    gate.muted = True
    assert gate.take(_event(1, "resolved"), _event(2), replace(_event(2), repeat=1)) == []
    gate.muted = False
    assert gate.release() == [("g:1", "resolved"), ("g:2", "firing")]
    assert gate.take(replace(_event(2), repeat=2)) == [("g:2", "firing")]


def test_acknowledged(gate: _Gate) -> None:
    """An acknowledgement is of one incident, and of none that follows."""
    gate.take(_event(1))
    latest = gate.incidents.latest("g")
    assert latest is not None
    latest.acknowledged = True
    gate.incidents.keep(latest)
    gate.take(_event(1))
    gate.restart()
    assert gate.incidents.acknowledged("g:1", "g")
    assert not gate.incidents.acknowledged(None, "g")
    gate.take(_event(1, "resolved"), _event(2))
    assert not gate.incidents.acknowledged("g:2", "g")


def test_over(gate: _Gate) -> None:
    """An incident whose end was told isn't kept once the store has it; it can be read back from there."""
    gate.take(_event(1))
    assert gate.past() is None
    assert gate.incidents.latest("g")
    gate.take(_event(1, "resolved"))
    assert gate.past() == "g:1"
    assert (gate.incidents.latest("g"), gate.incidents.dump("g")) == (None, b"")
    del gate.incidents.past["g"]
    assert gate.past() is None
    assert gate.take(_event(2)) == [("g:2", "firing")]
    assert gate.past() is None


def test_over_without_an_event(gate: _Gate) -> None:
    """So it is where only the alert stage knows that it ended."""
    gate.take(_event(1), _event(1))
    gate.open = None
    assert gate.past() == "g:1"


@pytest.mark.parametrize("restart", [True, False])
def test_over_while_muted(gate: _Gate, *, restart: bool) -> None:
    """While its end is owed an incident is kept; one that came and went, of which nothing is told, is not."""
    gate.take(_event(1))
    gate.muted = True
    gate.take(_event(1, "resolved"))
    assert gate.past() is None
    if restart:
        gate.restart()
        assert gate.past() is None
    gate.muted = False
    assert gate.release() == [("g:1", "resolved")]
    assert gate.past() == "g:1"
    gate.muted = True
    gate.take(_event(2), _event(2, "resolved"))
    assert gate.past() == "g:2"
    gate.muted = False
    assert gate.release() == []


def test_forgotten(gate: _Gate) -> None:
    """Of a group that is dropped nothing is left, over or not."""
    gate.take(_event(1), _event(1, "resolved"))
    assert gate.past() == "g:1"
    gate.incidents.forget("g")
    assert gate.past() is None


# No two fields alike, so that none can take another's place.
EXPLAINED = AlertEvent(
    "line1/station7:1500", "firing", "line1/station7", 0.875, 1.5, None, [0.5, 1.0, 1.5],
    [[20.0, 50.0, 20.5, 51.0], [21.0, 52.0, 21.5, 53.0], [22.0, 54.0, 32.5, 55.0]], out_of_range=True,
    contributions=[0.25, 0.0, 0.625, 0.125], contributions_by_step=[[0.1] * 4, [0.2] * 4, [0.3] * 4],
    reason="temperature_2 is far above temperature_1",
)  # fmt: skip


def _restarted(incidents: Incidents, group: str) -> Incidents:
    other = Incidents()
    other.load(group, incidents.dump(group))
    return other


def test_untold_stays_whole() -> None:
    """An incident that is told later is told with all that is known of it, after a restart as well."""
    incidents = Incidents()
    assert incidents.pass_on([EXPLAINED], lambda _: True) == []
    incidents = _restarted(incidents, EXPLAINED.group)
    assert incidents.release(lambda _: False, lambda _: EXPLAINED.id) == [EXPLAINED]


def test_owed_stays_whole() -> None:
    """So is an end that was held back."""
    incidents = Incidents()
    incidents.pass_on([EXPLAINED], lambda _: False)
    end = replace(EXPLAINED, status="resolved", ended_at=7.5, score=0.25)
    assert incidents.pass_on([end], lambda _: True) == []
    incidents = _restarted(incidents, EXPLAINED.group)
    assert incidents.release(lambda _: False, lambda _: None) == [end]


def test_told_is_small() -> None:
    """Of an incident that was told there is kept what a false alarm needs, and in little room."""
    incidents = Incidents()
    assert incidents.pass_on([EXPLAINED], lambda _: False) == [EXPLAINED]
    assert len(incidents.dump(EXPLAINED.group)) < 250
    latest = _restarted(incidents, EXPLAINED.group).latest(EXPLAINED.group)
    assert latest is not None
    assert latest.event == replace(EXPLAINED, contributions=None, contributions_by_step=None, reason="")


def test_values() -> None:
    """What is kept of a group is a value; one that can't be read is refused, and nothing is left of it."""
    incidents = Incidents()
    assert incidents.dump("g") == b""
    incidents.load("g", b"")
    for value in (b"nonsense", b"\x92\x63\x90"):
        with pytest.raises(ValueError, match="latest incident of 'g'"):
            incidents.load("g", value)
        assert incidents.latest("g") is None
