from pathlib import Path

import numpy as np
import pytest

from monitor.groups import reading_history
from monitor.groups.reading_history import READINGS_AFTER, READINGS_BEFORE, ReadingsAround
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message
from tests.support.toy_bundle import FAULTY, HEALTHY


def _harness(bundle: Path) -> PipelineHarness:
    """Return a pipeline that takes readings of any time."""
    return PipelineHarness(bundle, max_skew=1e6)


def _run(harness: PipelineHarness, begin: int, *rows: list[float], group: str = "g") -> None:
    """Process readings of a group, one a second, in batches of 20."""
    messages = [message(begin + number, row, f"p/{group}") for number, row in enumerate(rows)]
    harness.run(
        *((float(begin + first), messages[first : first + 20]) for first in range(0, len(messages), 20))
    )


def _around(harness: PipelineHarness, group: str = "g") -> ReadingsAround:
    incident = harness.groups.last_incident(group)
    assert incident is not None
    return harness.groups.readings_around(incident.event)


def test_readings_before_and_in_the_incident(toy_bundle: Path) -> None:
    """120 readings up to the incident's first event and 60 after it are given, oldest first, as they came."""
    harness = _harness(toy_bundle)
    healthy = [[20.0 + number / 1000, 50.0, 20.5, 50.0] for number in range(300)]
    _run(harness, 0, *healthy)
    _run(harness, 300, *[FAULTY] * 90, group="g")
    _run(harness, 0, *healthy, group="other")
    around = _around(harness)
    ts = np.arange(301 - READINGS_BEFORE, 301 + READINGS_AFTER) + NOW
    assert around.ts.tolist() == ts.tolist()
    assert around.values.tolist() == [*healthy[301 - READINGS_BEFORE :], *[FAULTY] * (1 + READINGS_AFTER)]


def test_an_earlier_incident_is_not_called_false(toy_bundle: Path) -> None:
    """Readings up to the last Faulty window before the incident are left out: that may have been a fault."""
    harness = _harness(toy_bundle)
    _run(harness, 0, *[HEALTHY] * 20, *[FAULTY] * 5, *[HEALTHY] * 20, FAULTY, FAULTY)
    # The windows of the two readings after the fault still hold a faulty one.
    assert (_around(harness).ts - NOW).tolist() == list(range(27, 47))


def test_a_later_incident_is_not_called_false(toy_bundle: Path) -> None:
    """Readings of the group's next incident are left out, too."""
    harness = _harness(toy_bundle)
    _run(harness, 0, *[HEALTHY] * 20, FAULTY, *[HEALTHY] * 10)
    incident = harness.groups.last_incident("g")
    assert incident is not None
    _run(harness, 31, *[FAULTY] * 5)
    assert (harness.groups.readings_around(incident.event).ts - NOW).tolist() == list(range(31))


def test_reported_late(toy_bundle: Path) -> None:
    """Of an incident long ago the readings before it are given, and none of those that are long after it."""
    harness = _harness(toy_bundle)
    _run(harness, 0, *[HEALTHY] * 50, FAULTY, *[HEALTHY] * 500)
    assert (_around(harness).ts - NOW).tolist() == list(range(51))


def test_without_history(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process, and beyond the limit of groups, the incident's window is what is known."""
    monkeypatch.setattr(reading_history, "_MAX_GROUPS", 1)
    harness, following = _harness(toy_bundle), _harness(toy_bundle)
    _run(harness, 0, *[HEALTHY] * 20, FAULTY)
    _run(harness, 0, *[HEALTHY] * 20, FAULTY, FAULTY, group="h")
    assert len(_around(harness, "g").ts) == 21
    assert (_around(harness, "h").ts - NOW).tolist() == [18, 19, 20]
    following.groups.load("g", harness.groups.dump("g") or b"", 30.0)
    assert (_around(following).ts - NOW).tolist() == [18, 19, 20]
    harness.groups.forget("g")
    _run(harness, 100, *[HEALTHY] * 20, FAULTY, group="h")
    assert len(_around(harness, "h").ts) == 21
