"""How many groups a plant at work gains at once."""

from pathlib import Path

import pytest

from monitor.core.messages import InboundMessage
from monitor.core.readings import Outcome
from tests.monitor.service.pipeline_fixture import PipelineHarness, message


def _readings(groups: list[str], ts: float = 0.0) -> list[InboundMessage]:
    return [message(ts, topic=f"p/{group}") for group in groups]


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


@pytest.fixture
def plant(toy_bundle: Path) -> PipelineHarness:
    """A plant of 10 stations that are judged."""
    harness = PipelineHarness(toy_bundle, max_groups=10_000)
    for step in range(3):
        harness.run((1.0, _readings(_names("station", 10), 5.0 * step)))
    return harness


def _excess(harness: PipelineHarness) -> float:
    return harness.metric_value("readings_total", outcome=Outcome.EXCESS.value)


def test_new_plant(toy_bundle: Path) -> None:
    """A plant that has no judged group yet gains any number of groups."""
    harness = PipelineHarness(toy_bundle, max_groups=10_000)
    harness.run((1.0, _readings(_names("station", 5_000))))
    assert (len(harness.groups), _excess(harness)) == (5_000, 0)


def test_invented_groups(plant: PipelineHarness) -> None:
    """Of 5,000 invented groups a plant gains 1,000; each reading of the others is `excess`."""
    plant.run((2.0, _readings(_names("invented", 5_000))))
    assert (len(plant.groups), _excess(plant)) == (1_010, 4_000)


def test_known_groups(plant: PipelineHarness) -> None:
    """Readings of known groups are judged, whatever comes with them."""
    before = plant.metric_value("readings_total", outcome="judged")
    plant.run((2.0, [*_readings(_names("invented", 5_000)), *_readings(_names("station", 10), 15.0)]))
    assert plant.metric_value("readings_total", outcome="judged") == before + 10


def test_more_groups_later(plant: PipelineHarness) -> None:
    """In ten minutes a plant gains as many groups again, so that a new hall comes in by itself."""
    plant.run((2.0, _readings(_names("hall", 1_500))))
    assert len(plant.groups) == 1_010
    plant.run((302.0, _readings(_names("hall", 1_500), 5.0)))
    assert len(plant.groups) == 1_510


def test_reloaded_groups(plant: PipelineHarness) -> None:
    """Groups that only the store has are known."""
    names = _names("station", 10)
    states = {name: plant.groups.dump(name) for name in names[1:]}
    plant.groups.evict(names[1:])
    plant.groups.fetch_states = lambda wanted: {
        name: state for name in wanted if (state := states.get(name)) is not None
    }
    plant.run((2.0, _readings(_names("invented", 2_000))))
    excess = _excess(plant)
    plant.run((2.0, _readings(names, 15.0)))
    assert _excess(plant) == excess == 1_000
