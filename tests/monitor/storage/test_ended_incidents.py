from pathlib import Path
from typing import Any

import pytest

from monitor.config.settings import Alerts
from monitor.config.settings import Store as StoreSettings
from monitor.storage.restore import open_store, restore
from monitor.storage.store import Store
from tests.monitor.operators.operator_pipeline import Office, identify
from tests.monitor.service.pipeline_fixture import NOW
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES


@pytest.fixture
def office(toy_bundle: Path, tmp_path: Path) -> Office:
    """Nothing has happened yet."""
    return Office(toy_bundle, tmp_path)


def _save(office: Office, store: Store) -> None:
    """Write what was committed since the last time."""
    memory, committed = office.world.memory, office.world.groups
    names = sorted({name for groups in committed for name in groups})
    committed.clear()
    over = [(name, memory.incidents.past.pop(name)) for name in names if name in memory.incidents.past]
    groups = [(name, memory.dump(name) or b"") for name in names]
    store.save(groups, store.outbox(), NOW, incidents=over)


def _call_false(office: Office, group: str) -> None:
    """See that the latest incident of a group can be called a false alarm, and no earlier one."""
    assert office.tell(8, "false-alarm", group=group) == {"status": "ok", "incident": identify(4, group)}
    assert office.tell(8, "false-alarm", incident=identify(3, group))["error"] == (
        f"incident {identify(3, group)!r} is not known any more; the latest is {identify(4, group)!r}"
    )
    assert f"\n{identify(4, group)}," in office.file.read_text()


@pytest.mark.parametrize("mode", ["lifecycle", "every_window"])
def test_memory_without_what_is_over(toy_bundle: Path, tmp_path: Path, mode: Any) -> None:
    """Incidents that are over are in the store alone; there they are found, by the next process as well."""
    settings = StoreSettings(path=tmp_path / "s.db")
    store = open_store(settings, NAMES, 3)
    office = Office(toy_bundle, tmp_path, alerts=Alerts(mode=mode, clear_after=1))
    memory = office.world.memory
    memory.fetch_incident = store.incident
    groups = [str(number) for number in range(20)]
    for group in groups[:10]:
        office.hear(4, HEALTHY, HEALTHY, FAULTY, group=group)
    _save(office, store)
    assert all(map(memory.incidents.dump, groups[:10])), "they are open"
    for at in (5, 6, 7):
        for group in groups[:10]:
            office.hear(at, HEALTHY, group=group)
    for group in groups[10:]:
        office.hear(7, HEALTHY, HEALTHY, FAULTY, HEALTHY, HEALTHY, HEALTHY, group=group)
    assert [memory.incidents.dump(group) for group in groups] == [b""] * 20
    assert memory.incidents.past.keys() == set(groups)
    _call_false(office, groups[0])
    _call_false(office, groups[10])
    _save(office, store)
    assert memory.incidents.past == {}
    _call_false(office, groups[1])
    store.close()
    office = Office(toy_bundle, tmp_path)
    store = restore(settings, office.world.memory, NAMES, 3, most=5, now=0.0)
    office.world.memory.fetch, office.world.memory.fetch_incident = store.fetch, store.incident
    _call_false(office, groups[2])
    store.close()


def test_over_by_request(office: Office) -> None:
    """An incident that a request ended is over, and one whose end was held back until a request."""
    incidents = office.world.memory.incidents
    office.hear(4, HEALTHY, HEALTHY, FAULTY)
    office.tell(5, "false-alarm", group="g")
    assert (incidents.dump("g"), incidents.past.keys()) == (b"", {"g"})
    office.hear(4, HEALTHY, HEALTHY, FAULTY, group="h")
    office.tell(6, "silence", group="h", minutes=5)
    office.hear(8, HEALTHY, HEALTHY, HEALTHY, group="h")
    assert incidents.dump("h")
    office.tell(9, "silence", group="h", minutes=0)
    assert (incidents.dump("h"), incidents.past.keys()) == (b"", {"g", "h"})
    assert office.events()[-1] == (identify(4, "h"), "resolved")


def test_incident_that_cannot_be_read(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """Where the store has something else in its place the answer and the log say so, and all goes on."""
    office.hear(3, HEALTHY, HEALTHY, HEALTHY)
    assert office.tell(4, "false-alarm", group="g")["error"] == "'g' had no incident"
    office.world.memory.fetch_incident = lambda _: b"nonsense"
    error = office.tell(4, "false-alarm", group="g")["error"]
    assert error.startswith("latest incident of 'g' can't be read: ")
    assert f"{error}; the request is refused" in caplog.text
    assert not office.file.exists()
    office.hear(5, FAULTY)
    assert office.tell(6, "false-alarm", group="g")["incident"] == identify(5)
