import json
from math import inf

import pytest

from monitor.cli.demo.scorecard import (
    Fault,
    ReportedIncident,
    ScoreCard,
    collect_incidents,
    find_faults,
    score_incidents,
)
from monitor.core.verdicts import AlertEvent
from monitor.publish.payloads import alert_payload
from monitor.recordings.reader import RecordingRow
from tests.support.toy_bundle import STEPS, toy_manifest


def _build_rows(verdicts: str, group: str = "g") -> list[RecordingRow]:
    """Return readings at seconds 0, 1, 2...: F is faulty, - has no valid ts, others are healthy."""
    return [
        RecordingRow(
            str(ts), None if verdict == "-" else float(ts), group, [], is_faulty=verdict == "F", problem=""
        )
        for ts, verdict in enumerate(verdicts)
    ]


@pytest.mark.parametrize(
    ("verdicts", "spans"),
    [
        ("....", []),
        ("..FF......", [(2, 5)]),
        ("F", [(0, 0)]),
        ("FF..F....", [(0, 6)]),
        ("FF...F....", [(0, 3), (5, 7)]),
        ("F-...", [(0, 3)]),
    ],
)
def test_faults(verdicts: str, spans: list[tuple[float, float]]) -> None:
    """A fault lasts until no window contains a reading of it; faults that are closer are one fault."""
    found = find_faults(_build_rows(verdicts), STEPS)
    assert [(fault.started_at, fault.ended_at) for fault in found] == spans


def test_faults_of_groups() -> None:
    """Faults are found for each group separately."""
    pairs = zip(_build_rows(".FF.....", "a"), _build_rows("...F....", "b"), strict=True)
    found = find_faults([row for pair in pairs for row in pair], STEPS)
    assert found == [Fault("a", 1, 4), Fault("b", 3, 5)]


def _build_event(status: str, started_at: float, ended_at: float | None) -> AlertEvent:
    return AlertEvent(f"g:{started_at}", status, "g", 0.9, started_at, ended_at, [], [], out_of_range=False)


@pytest.mark.parametrize("times", [1, 2])
def test_incidents(times: int) -> None:
    """Events with the same id are one incident, even if repeated; without an end the incident is open."""
    events = [
        _build_event("firing", 5, None),
        _build_event("resolved", 5, 9),
        _build_event("firing", 20.5, None),
    ]
    payloads = [json.loads(alert_payload(event, toy_manifest())) for event in events * times]
    assert collect_incidents(payloads) == [ReportedIncident("g", 5, 9), ReportedIncident("g", 20.5, inf)]


@pytest.mark.parametrize(
    ("reported", "card"),
    [
        ([], ScoreCard(2, 0, 0, None)),
        ([("a", 12, 25)], ScoreCard(2, 1, 0, 2)),
        ([("a", 20, 25)], ScoreCard(2, 1, 0, 10)),
        ([("a", 20.5, 25)], ScoreCard(2, 0, 1, None)),
        ([("b", 12, 25)], ScoreCard(2, 0, 1, None)),
        ([("a", 5, 10)], ScoreCard(2, 0, 1, None)),
        ([("a", 5, 11)], ScoreCard(2, 1, 0, 0)),
        ([("a", 11, inf)], ScoreCard(2, 2, 0, 0.5)),
        ([("a", 11, 12), ("a", 14, 15), ("a", 44, 45), ("a", 90, 91)], ScoreCard(2, 2, 1, 2.5)),
    ],
)
def test_score(reported: list[tuple[str, float, float]], card: ScoreCard) -> None:
    """A fault is found if an incident of its group overlaps; an incident without a fault is a false alarm."""
    injected = [Fault("a", 10, 20), Fault("a", 40, 50)]
    assert score_incidents(injected, [ReportedIncident(*incident) for incident in reported]) == card
    assert card.found + card.missed == card.injected


def test_nothing_injected() -> None:
    """Without faults every incident is a false alarm."""
    assert score_incidents([], [ReportedIncident("a", 1, 2)]) == ScoreCard(0, 0, 1, None)
