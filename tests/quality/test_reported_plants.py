"""Tests of verdicts for simulated plants whose sensors report as devices do; `make reported` has more."""

import numpy as np
import pytest

from monitor.bundle import Bundle
from tests.quality.devices import Device, report, select
from tests.quality.reported_plants import (
    FINE,
    SETUPS,
    Setup,
    align,
    count_alerts,
    judge,
    load_default_bundle,
    measure_recall,
    simulate_plant,
)

FINE_SETUPS = [setup for name, setup in SETUPS.items() if name.startswith("fine")]


@pytest.fixture(scope="module")
def loaded() -> Bundle:
    """Return the bundle that comes with the monitor."""
    return load_default_bundle()


@pytest.mark.parametrize("name", SETUPS)
def test_healthy_readings(loaded: Bundle, name: str) -> None:
    """Healthy sensors give no false alert, however they report."""
    setup = SETUPS[name]
    aligned = align(report(simulate_plant(1), setup.device, 1), setup.settings, loaded)
    scored = judge(aligned.batch.readings, setup.settings, loaded)
    assert len(scored.judged_windows.groups) > 100
    assert count_alerts(scored) == 0


def test_plant_that_moves_fast(loaded: Bundle) -> None:
    """Fast moves of a plant are no false alert with a period as long as the sensors take to measure."""
    setup = Setup(Device(300.0, FINE), period=10.0)
    aligned = align(report(simulate_plant(1, "indoor"), setup.device, 1), setup.settings, loaded)
    assert count_alerts(judge(aligned.batch.readings, setup.settings, loaded)) == 0


def test_recall_of_fine_devices(loaded: Bundle) -> None:
    """Where changes are reported, 0.95 of the lasting faults that the true signal shows are found."""
    true_recall, recalls = measure_recall(FINE_SETUPS, (1, 2, 3), loaded)
    for recall in recalls:
        assert len(recall.windows) > 200
        assert recall.by_window >= 0.95 * true_recall.by_window
        assert recall.by_episode >= 0.95 * true_recall.by_episode


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_sensor_that_dies(loaded: Bundle, setup: Setup) -> None:
    """The last value of a dead sensor is in no reading beyond `max_age`, and then the sensor is stale."""
    group, feature = "line1/station2", 0
    alive = report(simulate_plant(1), setup.device, 1)
    is_group = np.array(alive.values.groups) == group
    is_dying = is_group & (alive.values.features == feature)
    is_before = alive.values.ts <= np.median(alive.values.ts)
    end_ts = alive.values.ts[is_dying & is_before].max() + 1.5 * setup.device.interval
    aligned = align(select(alive, ~is_dying | is_before), setup.settings, loaded)
    # Up to `max_age` after its last value there are readings with it, and no window later.
    reading_ts = aligned.batch.readings.ts[np.array(aligned.batch.readings.groups) == group]
    assert end_ts - setup.device.interval < reading_ts.max() <= end_ts
    windows = judge(aligned.batch.readings, setup.settings, loaded).judged_windows
    assert windows.ts[np.array(windows.groups) == group].max() <= end_ts
    # At the first sampling time with news after that it is stale, and no other sensor ever is.
    period = setup.period or loaded.manifest.sample_period
    next_news_ts = alive.values.ts[is_group & ~is_dying & (alive.values.ts > end_ts - period)]
    sampling_times = np.ceil(next_news_ts / period) * period
    stale = aligned.batch.stale
    is_stale = (np.array(stale.groups) == group) & (stale.ts > end_ts - setup.device.interval)
    assert stale.ts[is_stale].min() == sampling_times[sampling_times > end_ts].min()
    assert aligned.stage.stale_features(group) == {feature: end_ts}
    assert not any(aligned.stage.stale_features(other) for other in set(alive.values.groups) - {group})
