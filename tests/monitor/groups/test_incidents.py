from dataclasses import replace

import msgspec
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


class _IncidentsHarness:
    """The incidents of one group, which a test can mute."""

    def __init__(self) -> None:
        self.incidents = Incidents()
        self.muted = False
        self.open_incident: str | None = None

    def push(self, *events: AlertEvent) -> list[tuple[str, str]]:
        for event in events:
            self.open_incident = event.id if event.status == "firing" else None
        return self._ids_and_statuses(self.incidents.filter_events(events, lambda _: self.muted))

    def release(self) -> list[tuple[str, str]]:
        return self._ids_and_statuses(
            self.incidents.release(
                self.incidents.take_pending_groups(), lambda _: self.muted, lambda _: self.open_incident
            )
        )

    def retire_ended(self) -> str | None:
        """Retire closed incidents; return the id of the incident that is not saved yet, if there is one."""
        self.incidents.retire(["g", "unknown"], lambda _: self.open_incident)
        value = self.incidents.ended.get("g")
        return None if value is None else self.incidents.decode("g", value).event.id

    def restart(self) -> None:
        value = self.incidents.dump("g")
        self.incidents = Incidents()
        self.incidents.load("g", value)

    @staticmethod
    def _ids_and_statuses(events: list[AlertEvent]) -> list[tuple[str, str]]:
        return [(event.id, event.status) for event in events]


@pytest.fixture
def harness() -> _IncidentsHarness:
    """No incident yet."""
    return _IncidentsHarness()


def test_nobody_muted(harness: _IncidentsHarness) -> None:
    """Events of groups that aren't muted are published in their order, repeated ones too."""
    events = [_event(1), _event(1), _event(1, "resolved"), _event(2)]
    assert harness.push(*events) == [(event.id, event.status) for event in events]
    assert harness.release() == []


@pytest.mark.parametrize("restart", [True, False])
def test_still_open(harness: _IncidentsHarness, *, restart: bool) -> None:
    """An incident that began during a mute and is open afterwards is published then, and so is its end."""
    harness.muted = True
    assert harness.push(_event(1), _event(1)) == []
    assert harness.release() == []
    harness.muted = False
    if restart:
        harness.restart()
        assert harness.incidents.has_loaded_pending
    assert harness.release() == [("g:1", "firing")]
    assert harness.release() == []
    assert harness.push(_event(1, "resolved")) == [("g:1", "resolved")]


def test_came_and_went(harness: _IncidentsHarness) -> None:
    """No event of an incident that began and ended while muted is ever published."""
    harness.muted = True
    assert harness.push(_event(1), _event(1, "resolved")) == []
    harness.muted = False
    assert harness.release() == []
    assert harness.push(_event(2)) == [("g:2", "firing")]


def test_incident_begun_muted_has_no_resolved_event(harness: _IncidentsHarness) -> None:
    """If the beginning of an incident was not published, its end isn't published after the mute either."""
    harness.muted = True
    harness.push(_event(1))
    harness.muted = False
    assert harness.push(_event(1, "resolved")) == []
    assert harness.release() == []


@pytest.mark.parametrize("restart", [True, False])
def test_pending_resolved(harness: _IncidentsHarness, *, restart: bool) -> None:
    """The end of a published incident is held back while muted, and published before the next incident."""
    assert harness.push(_event(1)) == [("g:1", "firing")]
    harness.muted = True
    assert harness.push(_event(1, "resolved"), _event(2), _event(2, "resolved"), _event(3)) == []
    if restart:
        harness.restart()
    harness.muted = False
    assert harness.release() == [("g:1", "resolved"), ("g:3", "firing")]
    assert harness.push(_event(3, "resolved")) == [("g:3", "resolved")]


def test_repeat_events(harness: _IncidentsHarness) -> None:
    """An incident that continues is repeated, but not while muted, whether it was published before or not."""
    firing = [("g:1", "firing")]
    assert harness.push(_event(1), replace(_event(1), repeat=1)) == 2 * firing
    harness.muted = True
    assert harness.push(replace(_event(1), repeat=2)) == []
    harness.muted = False
    assert harness.push(replace(_event(1), repeat=3)) == firing
    assert harness.push(replace(_event(1), repeat=4)) == firing
    harness.muted = True
    assert harness.push(_event(1, "resolved"), _event(2), replace(_event(2), repeat=1)) == []
    harness.muted = False
    assert harness.release() == [("g:1", "resolved"), ("g:2", "firing")]
    assert harness.push(replace(_event(2), repeat=2)) == [("g:2", "firing")]


def test_acknowledged(harness: _IncidentsHarness) -> None:
    """An acknowledgement holds for one incident and not for the next."""
    harness.push(_event(1))
    incident = harness.incidents.get("g")
    assert incident is not None
    incident.acknowledged = True
    harness.incidents.put(incident)
    harness.push(_event(1))
    harness.restart()
    assert harness.incidents.is_acknowledged("g:1", "g")
    assert not harness.incidents.is_acknowledged(None, "g")
    harness.push(_event(1, "resolved"), _event(2))
    assert not harness.incidents.is_acknowledged("g:2", "g")


def test_ended_incident_is_retired(harness: _IncidentsHarness) -> None:
    """An incident whose end was published isn't kept once the store has it; the store can return it."""
    harness.push(_event(1))
    assert harness.retire_ended() is None
    assert harness.incidents.get("g")
    harness.push(_event(1, "resolved"))
    assert harness.retire_ended() == "g:1"
    assert (harness.incidents.get("g"), harness.incidents.dump("g")) == (None, b"")
    del harness.incidents.ended["g"]
    assert harness.retire_ended() is None
    assert harness.push(_event(2)) == [("g:2", "firing")]
    assert harness.retire_ended() is None


def test_retired_without_resolved_event(harness: _IncidentsHarness) -> None:
    """The same holds if only the alert stage knows that the incident ended."""
    harness.push(_event(1), _event(1))
    harness.open_incident = None
    assert harness.retire_ended() == "g:1"


@pytest.mark.parametrize("restart", [True, False])
def test_ended_while_muted(harness: _IncidentsHarness, *, restart: bool) -> None:
    """An incident is kept while its end is held back, unless it began and ended while muted."""
    harness.push(_event(1))
    harness.muted = True
    harness.push(_event(1, "resolved"))
    assert harness.retire_ended() is None
    if restart:
        harness.restart()
        assert harness.retire_ended() is None
    harness.muted = False
    assert harness.release() == [("g:1", "resolved")]
    assert harness.retire_ended() == "g:1"
    harness.muted = True
    harness.push(_event(2), _event(2, "resolved"))
    assert harness.retire_ended() == "g:2"
    harness.muted = False
    assert harness.release() == []


def test_forgotten(harness: _IncidentsHarness) -> None:
    """No incident of a forgotten group is kept, open or closed."""
    harness.push(_event(1), _event(1, "resolved"))
    assert harness.retire_ended() == "g:1"
    harness.incidents.forget("g")
    assert harness.retire_ended() is None


# No two fields have the same value, so that a test notices when two are swapped.
EVENT_WITH_REASON = AlertEvent(
    "line1/station7:1500", "firing", "line1/station7", 0.875, 1.5, None, [0.5, 1.0, 1.5],
    [[20.0, 50.0, 20.5, 51.0], [21.0, 52.0, 21.5, 53.0], [22.0, 54.0, 32.5, 55.0]], out_of_range=True,
    contributions=[0.25, 0.0, 0.625, 0.125], contributions_by_step=[[0.1] * 4, [0.2] * 4, [0.3] * 4],
    reason="temperature_2 is far above temperature_1",
)  # fmt: skip


def _reloaded(incidents: Incidents, group: str) -> Incidents:
    other = Incidents()
    other.load(group, incidents.dump(group))
    return other


def test_unpublished_incident_keeps_all_fields() -> None:
    """An incident that is published after the mute has all its fields, after a restart as well."""
    incidents = Incidents()
    assert incidents.filter_events([EVENT_WITH_REASON], lambda _: True) == []
    incidents = _reloaded(incidents, EVENT_WITH_REASON.group)
    assert incidents.release(
        incidents.take_pending_groups(), lambda _: False, lambda _: EVENT_WITH_REASON.id
    ) == [EVENT_WITH_REASON]


def test_pending_resolved_keeps_all_fields() -> None:
    """An end that was held back has all its fields too."""
    incidents = Incidents()
    incidents.filter_events([EVENT_WITH_REASON], lambda _: False)
    end = replace(EVENT_WITH_REASON, status="resolved", ended_at=7.5, score=0.25)
    assert incidents.filter_events([end], lambda _: True) == []
    incidents = _reloaded(incidents, EVENT_WITH_REASON.group)
    assert incidents.release(incidents.take_pending_groups(), lambda _: False, lambda _: None) == [end]


def test_published_incident_drops_reasons() -> None:
    """Of a published incident only the data for a false alarm are kept, in few bytes."""
    incidents = Incidents()
    assert incidents.filter_events([EVENT_WITH_REASON], lambda _: False) == [EVENT_WITH_REASON]
    assert len(incidents.dump(EVENT_WITH_REASON.group)) < 250
    incident = _reloaded(incidents, EVENT_WITH_REASON.group).get(EVENT_WITH_REASON.group)
    assert incident is not None
    assert incident.event == replace(
        EVENT_WITH_REASON, contributions=None, contributions_by_step=None, reason=""
    )


def test_incident_of_an_older_version() -> None:
    """An event that was stored when events had no detector and no kind can be read."""
    incidents = Incidents()
    event = replace(EVENT_WITH_REASON, kind="offset")
    incidents.filter_events([event], lambda _: True)
    version, stored, *rest = msgspec.msgpack.decode(incidents.dump(event.group))
    assert stored[13:] == ["model", "offset"]
    incidents.load(event.group, msgspec.msgpack.encode([version, stored[:13], *rest]))
    incident = incidents.get(event.group)
    assert incident is not None
    assert incident.event == EVENT_WITH_REASON


def test_early_end_has_the_last_kind() -> None:
    """The event that ends a published incident early has the kind of fault as it was told at last."""
    incidents = Incidents()
    incidents.filter_events([EVENT_WITH_REASON], lambda _: False)
    (end,) = incidents.final_events(EVENT_WITH_REASON.group, EVENT_WITH_REASON.id, 9.0, "stuck", "forgotten")
    assert (end.status, end.kind, end.reason) == ("resolved", "stuck", "forgotten")


def test_invalid_values() -> None:
    """The incident of a group is saved as bytes; an unreadable value is rejected, and nothing is kept."""
    incidents = Incidents()
    assert incidents.dump("g") == b""
    incidents.load("g", b"")
    for value in (b"nonsense", b"\x92\x63\x90"):
        with pytest.raises(ValueError, match="latest incident of 'g'"):
            incidents.load("g", value)
        assert incidents.get("g") is None


def test_event_before_there_were_checks() -> None:
    """An incident that was saved before events had a detector was the model's."""
    incidents = Incidents()
    incidents.filter_events([EVENT_WITH_REASON], lambda _: False)
    version, event, *others = msgspec.msgpack.decode(incidents.dump(EVENT_WITH_REASON.group))
    assert event[13] == "model"
    incidents.load(EVENT_WITH_REASON.group, msgspec.msgpack.encode([version, event[:13], *others]))
    incident = incidents.get(EVENT_WITH_REASON.group)
    assert incident is not None
    assert incident.event.detector == "model"
