import weakref
from dataclasses import fields, replace

import numpy as np
import pytest

from monitor.core.rules import AlertRules
from monitor.core.verdicts import AlertEvent, Detector, JudgedWindows
from monitor.detect.alert_state import choose_kind
from monitor.detect.alerts import AlertStage
from monitor.detect.fault_kind import FaultEvidence

EventSummary = tuple[str, str, float | None]
"""Status, incident id, `ended_at`."""


def _judged_windows(stream: list[tuple[str, bool]], first: int = 0) -> JudgedWindows:
    """Build windows of (group, is Faulty), whose newest event time is their number in the stream."""
    count = len(stream)
    ts = np.arange(first, first + count, dtype=np.float64)[:, None] + [-2.0, -1.0, 0.0]  # (window, step)
    faulty = np.array([is_faulty for _, is_faulty in stream], dtype=bool)
    return JudgedWindows(
        groups=[group for group, _ in stream],
        ts=ts,
        values=np.repeat(ts[:, :, None], 4, axis=2),
        scores=np.where(faulty, 0.9, 0.1),
        faulty=faulty,
        out_of_range=ts[:, 2] % 2 == 1,
        detectors=faulty.astype(np.uint8),
    )


def _summarize(events: list[AlertEvent]) -> list[EventSummary]:
    return [(event.status, event.id, event.ended_at) for event in events]


def _run(verdicts: str, stage: AlertStage) -> list[EventSummary]:
    """Feed one group with Faulty (F) and Normal (N) windows at seconds 0, 1, 2..."""
    return _summarize(stage.update(_judged_windows([("g", verdict == "F") for verdict in verdicts])))


@pytest.mark.parametrize(
    ("verdicts", "raise_after", "clear_after", "events"),
    [
        ("NNN", 1, 1, []),
        ("NF", 1, 3, [("firing", "g:1000", None)]),
        ("FFFF", 1, 3, [("firing", "g:0", None)]),
        ("FNN", 1, 3, [("firing", "g:0", None)]),
        ("FNNN", 1, 3, [("firing", "g:0", None), ("resolved", "g:0", 1)]),
        ("FFNNN", 1, 3, [("firing", "g:0", None), ("resolved", "g:0", 2)]),
        ("FNNFNNN", 1, 3, [("firing", "g:0", None), ("resolved", "g:0", 4)]),
        ("FNF", 1, 1, [("firing", "g:0", None), ("resolved", "g:0", 1), ("firing", "g:2000", None)]),
        ("FFNFF", 3, 1, []),
        ("FFNFFF", 3, 1, [("firing", "g:3000", None)]),
        ("NFFNN", 2, 2, [("firing", "g:1000", None), ("resolved", "g:1000", 3)]),
    ],
)
def test_lifecycle(verdicts: str, raise_after: int, clear_after: int, events: list[EventSummary]) -> None:
    """An incident fires after `raise_after` Faulty windows and resolves after `clear_after` Normal ones."""
    assert _run(verdicts, AlertStage(AlertRules(raise_after, clear_after))) == events


def test_every_window() -> None:
    """With `every_window` each Faulty window fires with its incident's id; the first Normal one ends it."""
    stage = AlertStage(AlertRules(5, 5), every_window=True)
    assert _run("FFNNF", stage) == [
        ("firing", "g:0", None),
        ("firing", "g:0", None),
        ("firing", "g:4000", None),
    ]
    assert (stage.firing_count, stage.incident_id("g")) == (1, "g:4000")
    stage.update(_judged_windows([("g", False)], 5))
    assert (stage.firing_count, stage.incident_id("g")) == (0, None)


def test_time_that_goes_back() -> None:
    """A run that goes on with earlier times, as after a restart with another clock, begins then."""
    stage = AlertStage(AlertRules(raise_after=2, clear_after=2))
    assert not stage.update(_judged_windows([("g", True)], 1_000_000))
    (firing,) = stage.update(_judged_windows([("g", True)], 5))
    assert firing.started_at == 5.0
    assert not stage.update(_judged_windows([("g", False)], 1_000_000))
    (resolved,) = stage.update(_judged_windows([("g", False)], 7))
    assert resolved.ended_at == 7.0


def test_event_fields() -> None:
    """An event has the score, the flag, the times and the raw values of the window that caused it."""
    stage = AlertStage(AlertRules(raise_after=2, clear_after=1))
    firing, resolved = stage.update(_judged_windows([("g", True), ("g", True), ("g", False)]))
    assert firing == AlertEvent(
        id="g:0",
        status="firing",
        group="g",
        score=0.9,
        started_at=0.0,
        ended_at=None,
        window_ts=[-1.0, 0.0, 1.0],
        window_values=[[-1.0] * 4, [0.0] * 4, [1.0] * 4],
        out_of_range=True,
    )
    assert (resolved.score, resolved.started_at, resolved.ended_at) == (0.1, 0.0, 2.0)
    assert (resolved.window_ts, resolved.out_of_range) == ([0.0, 1.0, 2.0], False)


def test_id_is_in_milliseconds() -> None:
    """An incident's id is its group and its start in milliseconds."""
    judged = _judged_windows([("line1/station7", True)])
    judged.ts[0, 2] = 1700000000.1234
    (event,) = AlertStage().update(judged)
    assert event.id == "line1/station7:1700000000123"


def test_open_incidents() -> None:
    """Open incidents are counted and found by group; a group without incident has no state."""
    stage = AlertStage(AlertRules(clear_after=2))
    stage.update(_judged_windows([("a", True), ("b", True), ("c", False), ("b", False)]))
    assert (stage.firing_count, stage.incident_id("a"), stage.incident_id("b")) == (2, "a:0", "b:1000")
    assert stage.incident_id("c") is None
    assert sorted(stage.groups()) == ["a", "b"]
    stage.update(_judged_windows([("b", False)], 4))
    assert (stage.firing_count, stage.groups()) == (1, ["a"])
    stage.forget("a")
    stage.forget("unknown")
    assert (stage.firing_count, stage.groups(), stage.incident_id("a")) == (0, [], None)


def test_loading_twice_counts_once() -> None:
    """Loading a group's state again does not count its incident twice; loading empty state removes it."""
    stage = AlertStage()
    stage.update(_judged_windows([("g", True)]))
    stage.load("g", stage.dump("g"))
    assert (stage.firing_count, stage.incident_id("g")) == (1, "g:0")
    stage.load("g", stage.dump("unknown"))
    assert (stage.firing_count, stage.groups()) == (0, [])


@pytest.mark.parametrize("damage", [b"", b"\x92", b"\x92\x63\x94\x00\x00\xca\x00\x00\x00\x00\xc0", b"{}"])
def test_load_rejects_invalid_state(damage: bytes) -> None:
    """Damaged state and state of another version are rejected with the group's name."""
    with pytest.raises(ValueError, match="alert state of 'g'"):
        AlertStage().load("g", damage)


class _WeakReferableStr(str):
    """A group's name to which a weak reference can be made."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("overrides", [(), [("g*", AlertRules(1, 1))]])
def test_no_reference_to_a_group_without_incident(overrides: list[tuple[str, AlertRules]]) -> None:
    """After a group's incident ended nothing of it is kept, not even the name: else memory would grow."""
    stage = AlertStage(AlertRules(1, 1), overrides)
    name = _WeakReferableStr("group")
    name_ref = weakref.ref(name)
    assert len(stage.update(_judged_windows([(name, True), (name, False)]))) == 2
    del name
    assert name_ref() is None


@pytest.mark.parametrize(
    ("found", "detectors", "kind"),
    [
        ([Detector.DRIFT, Detector.MODEL, Detector.MODEL], ["drift", "drift", "drift"], "drift"),
        ([Detector.MODEL, Detector.MODEL, Detector.MODEL], ["model", "model", "model"], None),
        ([Detector.MODEL, Detector.FLAT, Detector.MODEL], ["model", "flat", "flat"], "stuck"),
        ([Detector.MODEL, Detector.LIMITS, Detector.FLAT], ["model", "limits", "limits"], "bounds"),
        ([Detector.MODEL, Detector.MODEL, Detector.DRIFT], ["model", "drift", "drift"], "drift"),
    ],
)
def test_detector(found: list[Detector], detectors: list[str], kind: str | None) -> None:
    """An incident has the detector and kind of the first check that found something, also after a restart."""
    windows = _judged_windows([("g", verdict == "F") for verdict in "NFFFNNN"])
    windows = replace(windows, detectors=np.array([0, *found, 0, 0, 0], dtype=np.uint8))
    stage, other = (AlertStage(AlertRules(renotify_after=2)) for _ in range(2))
    events = []
    for row in range(7):
        other.load("g", stage.dump("g"))
        stage, other = other, stage
        events += stage.update(_select(windows, [row]))
    assert [event.status for event in events] == ["firing", "firing", "resolved"]
    assert [event.detector for event in events] == detectors
    assert events[-1].kind == kind


@pytest.mark.parametrize(
    ("detector", "told", "kind"),
    [
        (Detector.FLAT, "noise", "stuck"),
        (Detector.FLAT, "loss", "loss"),  # the value is exactly 0
        (Detector.LIMITS, "loss", "bounds"),
        (Detector.DRIFT, None, "drift"),
        (Detector.MODEL, "noise", "noise"),
    ],
)
def test_kind(detector: Detector, told: str | None, kind: str) -> None:
    """A check's kind beats what the readings tell, except that a flat sensor at 0 is a loss."""
    assert choose_kind(detector, FaultEvidence(kind=told)) == kind


def test_detector_of_the_next_incident() -> None:
    """A check that found something in an incident has no say in the next one."""
    windows = _judged_windows([("g", verdict == "F") for verdict in "FNF"])
    windows = replace(windows, detectors=np.array([Detector.FLAT, 0, Detector.MODEL], dtype=np.uint8))
    events = AlertStage(AlertRules(clear_after=1)).update(windows)
    assert [event.detector for event in events] == ["flat", "flat", "model"]


def test_window_without_score() -> None:
    """A window that only a check could judge makes an event without a score."""
    windows = _judged_windows([("g", True)])
    (event,) = AlertStage().update(replace(windows, scores=np.array([np.nan])))
    assert event.score is None


def _select(windows: JudgedWindows, rows: list[int]) -> JudgedWindows:
    return JudgedWindows(
        [windows.groups[row] for row in rows],
        *(getattr(windows, field.name)[rows] for field in fields(windows)[1:]),
    )
