"""Which groups are silent for too long, with a real store and given times."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.operators.silent_group_finder import SilentGroupFinder
from monitor.storage.outbox import Outbox
from monitor.storage.store import Store
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message
from tests.support.toy_bundle import FAULTY, NAMES

DAY = 86_400.0
WEEK = 7 * DAY


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store."""
    opened = Store(tmp_path / "state.db")
    opened.create(NAMES, 3)
    yield opened
    opened.close()


def restart(
    store: Store, bundle: Path, wall: list[float], forget_after: float = WEEK
) -> tuple[PipelineHarness, SilentGroupFinder]:
    """Return a pipeline that restored all groups of the store at the monotonic time 0, and its finder."""
    harness = PipelineHarness(bundle, stored=dict(store.load_groups(1000)))
    finder = SilentGroupFinder(
        forget_after=forget_after,
        groups=harness.groups,
        saved_times=store.saved_times,
        started_at=0.0,
        wall=lambda: wall[0],
    )
    return harness, finder


def save(store: Store, harness: PipelineHarness, name: str, saved_at: float) -> None:
    """Save the state of a group."""
    value = harness.groups.dump(name)
    assert value is not None
    store.save([(name, value)], Outbox(), saved_at)


def save_silent(store: Store, bundle: Path, name: str, *values: list[float]) -> None:
    """Save a group that became silent at NOW."""
    harness = PipelineHarness(bundle)
    harness.run((0.0, [message(n, row, f"p/{name}") for n, row in enumerate(values or [FAULTY])]), (60.0, []))
    save(store, harness, name, NOW)


def test_restored_group(store: Store, toy_bundle: Path) -> None:
    """The time without a monitor counts, an hour after the start, and the wall clock of then is used."""
    save_silent(store, toy_bundle, "g")
    wall = [NOW + 365 * DAY]
    _, finder = restart(store, toy_bundle, wall)
    assert finder.find(10.0) == []
    wall[0] = NOW + 3600.0  # it is set right meanwhile
    assert finder.find(3600.0) == []
    wall[0] = NOW + 365 * DAY  # a later step has no effect
    assert finder.find(WEEK - 1) == []
    assert finder.find(WEEK) == ["g"]


def test_group_that_is_back(store: Store, toy_bundle: Path) -> None:
    """A group that sent in this process is measured from its last reading, whatever the wall clock says."""
    save_silent(store, toy_bundle, "g")
    harness, finder = restart(store, toy_bundle, [NOW + 365 * DAY])
    harness.run((100.0, [message(5)]))
    assert finder.find(3600.0) == []  # not marked as silent yet
    harness.run((3700.0, []))
    assert finder.find(3700.0) == finder.find(99.0 + WEEK) == []
    assert finder.find(100.0 + WEEK) == ["g"]


def test_evicted_group(store: Store, toy_bundle: Path) -> None:
    """A group that is only in the store is found, too, but none with an open incident."""
    save_silent(store, toy_bundle, "g")
    save_silent(store, toy_bundle, "with-incident", FAULTY, FAULTY, FAULTY)
    harness, finder = restart(store, toy_bundle, [NOW + WEEK])
    assert harness.groups.groups_with_incident() == ["with-incident"]
    harness.groups.fetch_states = store.fetch_groups
    assert finder.find(3600.0) == ["g"]
    harness.groups.evict(["g", "with-incident"])
    assert finder.find(3700.0) == ["g"]


def test_off(store: Store, toy_bundle: Path) -> None:
    """With 0 no group is ever found."""
    save_silent(store, toy_bundle, "g")
    _, finder = restart(store, toy_bundle, [NOW + 365 * DAY], forget_after=0.0)
    assert finder.find(365 * DAY) == []


def test_many_groups(store: Store, toy_bundle: Path) -> None:
    """The store is read in parts, from its beginning again after the last."""
    save_silent(store, toy_bundle, "g")
    ((_, value),) = store.load_groups(1)
    names = [f"g{number:03}" for number in range(512)]
    store.save([(name, value) for name in names], Outbox(), NOW)
    harness, finder = restart(store, toy_bundle, [NOW + WEEK])
    found = [finder.find(3600.0 + step) for step in range(3)]
    assert [name for part in found for name in part] == ["g", *names]
    harness.groups.delete(found[0])
    assert finder.find(3700.0) == []
