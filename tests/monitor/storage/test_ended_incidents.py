from pathlib import Path
from typing import Any

import pytest

from monitor.config.settings import AlertSettings, StoreSettings
from monitor.publish.own_messages import OwnMessages
from monitor.storage.restore import open_store, restore
from monitor.storage.store import Store
from tests.monitor.operators.operator_pipeline import OperatorHarness, incident_id
from tests.monitor.service.pipeline_fixture import NOW
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES


@pytest.fixture
def operators(toy_bundle: Path, tmp_path: Path) -> OperatorHarness:
    """A pipeline with operator requests that has received nothing yet."""
    return OperatorHarness(toy_bundle, tmp_path)


def _save(operators: OperatorHarness, store: Store) -> None:
    """Save the groups that were committed since the last call."""
    group_states, committed_groups = operators.harness.groups, operators.harness.committed_groups
    names = sorted({name for groups in committed_groups for name in groups})
    committed_groups.clear()
    ended = group_states.ended_incidents(names)
    groups = [(name, group_states.dump(name) or b"") for name in names]
    store.save(groups, store.load_outbox(), NOW, incidents=ended)
    group_states.mark_saved(names)


def _report_false_alarm(operators: OperatorHarness, group: str) -> None:
    """Check that a group's latest incident, and no earlier incident, can be reported as a false alarm."""
    assert operators.request_at(8, "false-alarm", group=group) == {
        "status": "ok",
        "incident": incident_id(4, group),
    }
    assert operators.request_at(8, "false-alarm", incident=incident_id(3, group))["error"] == (
        f"incident {incident_id(3, group)!r} is not known any more; the latest is {incident_id(4, group)!r}"
    )
    assert f"\n{incident_id(4, group)}," in operators.file.read_text()


@pytest.mark.parametrize("mode", ["lifecycle", "every_window"])
def test_ended_incidents_are_only_in_the_store(toy_bundle: Path, tmp_path: Path, mode: Any) -> None:
    """Closed incidents are kept only in the store, where the next process finds them, too."""
    settings = StoreSettings(path=tmp_path / "s.db")
    store = open_store(settings, NAMES, 3)
    operators = OperatorHarness(toy_bundle, tmp_path, alerts=AlertSettings(mode=mode, clear_after=1))
    group_states = operators.harness.groups
    group_states.fetch_ended_incident = store.fetch_incident
    groups = [str(number) for number in range(20)]
    for group in groups[:10]:
        operators.send_readings(4, HEALTHY, HEALTHY, FAULTY, group=group)
    _save(operators, store)
    assert all(map(group_states._incidents.dump, groups[:10])), "they are open"  # noqa: SLF001
    for now in (5, 6, 7):
        for group in groups[:10]:
            operators.send_readings(now, HEALTHY, group=group)
    for group in groups[10:]:
        operators.send_readings(7, HEALTHY, HEALTHY, FAULTY, HEALTHY, HEALTHY, HEALTHY, group=group)
    assert [group_states._incidents.dump(group) for group in groups] == [b""] * 20  # noqa: SLF001
    assert group_states._incidents.ended.keys() == set(groups)  # noqa: SLF001
    _report_false_alarm(operators, groups[0])
    _report_false_alarm(operators, groups[10])
    _save(operators, store)
    assert group_states._incidents.ended == {}  # noqa: SLF001
    _report_false_alarm(operators, groups[1])
    store.close()
    operators = OperatorHarness(toy_bundle, tmp_path)
    store = restore(
        settings,
        operators.harness.groups,
        NAMES,
        3,
        is_own_message=OwnMessages("homeassistant").include,
        max_groups=5,
        now=0.0,
    )
    operators.harness.groups.fetch_states, operators.harness.groups.fetch_ended_incident = (
        store.fetch_groups,
        store.fetch_incident,
    )
    _report_false_alarm(operators, groups[2])
    store.close()


def test_incident_ended_by_request(operators: OperatorHarness) -> None:
    """An incident ended by a request is closed, even if its resolved event was held back until then."""
    incidents = operators.harness.groups._incidents  # noqa: SLF001
    operators.send_readings(4, HEALTHY, HEALTHY, FAULTY)
    operators.request_at(5, "false-alarm", group="g")
    assert (incidents.dump("g"), incidents.ended.keys()) == (b"", {"g"})
    operators.send_readings(4, HEALTHY, HEALTHY, FAULTY, group="h")
    operators.request_at(6, "silence", group="h", minutes=5)
    operators.send_readings(8, HEALTHY, HEALTHY, HEALTHY, group="h")
    assert incidents.dump("h")
    operators.request_at(9, "silence", group="h", minutes=0)
    assert (incidents.dump("h"), incidents.ended.keys()) == (b"", {"g", "h"})
    assert operators.events()[-1] == (incident_id(4, "h"), "resolved")


def test_incident_that_cannot_be_read(operators: OperatorHarness, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable closed incident is reported in the response and the log, and judging continues."""
    operators.send_readings(3, HEALTHY, HEALTHY, HEALTHY)
    assert operators.request_at(4, "false-alarm", group="g")["error"] == "'g' had no incident"
    operators.harness.groups.fetch_ended_incident = lambda _: b"nonsense"
    error = operators.request_at(4, "false-alarm", group="g")["error"]
    assert error.startswith("latest incident of 'g' can't be read: ")
    assert f"{error}; the request is refused" in caplog.text
    assert not operators.file.exists()
    operators.send_readings(5, FAULTY)
    assert operators.request_at(6, "false-alarm", group="g")["incident"] == incident_id(5)
