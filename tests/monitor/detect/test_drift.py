from pathlib import Path

import msgspec
import numpy as np
import pytest

from monitor import bundle
from monitor.bundle import BundleError
from monitor.bundle.manifest import Distribution
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.arrays import FloatArray
from monitor.detect.drift import DriftStage, fit_distribution
from monitor.service.stages import build_scoring
from tests.conftest import Mosquitto, wait_until
from tests.monitor.service.pipeline_fixture import PipelineHarness, message
from tests.observability.prometheus_server import PROMETHEUS_CONFIG
from tests.observability.test_rules import run_promtool
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import HEALTHY, NAMES, save_toy_bundle

TRAINING_VALUES = np.random.default_rng(0).normal(20, 2, 50_000)
DISTRIBUTIONS = {"a": fit_distribution(TRAINING_VALUES), "b": fit_distribution(np.round(TRAINING_VALUES))}
HEALTHY_DISTRIBUTIONS = {
    name: Distribution(value - 1, value + 1, (value,), (0.5, 0.5))
    for name, value in zip(NAMES, HEALTHY, strict=True)
}


def draw_readings(readings: int, *, shift: float = 0.0, seed: int = 1) -> FloatArray:
    """Return readings of two features, the second in whole numbers."""
    values = np.random.default_rng(seed).normal(20 + shift, 2, (readings, 2))
    values[:, 1] = np.round(values[:, 1])
    return values


def make_stage() -> DriftStage:
    """Return a stage that compares with what was trained on."""
    return DriftStage(("a", "b"), DISTRIBUTIONS)


def test_deciles_hold_a_tenth_each() -> None:
    """Of continuous values each bin holds a tenth, and a thousandth is beyond either end."""
    found = DISTRIBUTIONS["a"]
    assert found.shares == pytest.approx([0.1] * 10, abs=1e-3)
    assert np.mean(found.low > TRAINING_VALUES) == pytest.approx(1e-3, abs=1e-4)
    assert np.mean(found.high < TRAINING_VALUES) == pytest.approx(1e-3, abs=1e-4)


def test_outlier_does_not_set_the_range() -> None:
    """One odd value among thousands doesn't make the range; where all others are equal it does."""
    assert fit_distribution(np.array([*range(9999), 1e6])).high < 9999
    assert fit_distribution(np.array([5.0] * 9999 + [7.0])).high == 7


@pytest.mark.parametrize(
    ("values", "edges", "shares"),
    [
        ([0.0] * 6 + [1.0, 2.0, 3.0, 4.0], (0.4, 1.3, 2.2, 3.1), (0.6, 0.1, 0.1, 0.1, 0.1)),
        ([0.0] * 3 + [1.0] * 4 + [2.0] * 3, (0.7, 1.0, 1.3, 2.0), (0.3, 0.0, 0.4, 0.0, 0.3)),
        ([5.0] * 10, (), (1.0,)),
        ([7.0], (), (1.0,)),
    ],
)
def test_values_that_repeat(values: list[float], edges: tuple[float, ...], shares: tuple[float, ...]) -> None:
    """Where values repeat there are fewer bins, each with the share that it really has."""
    found = fit_distribution(np.array(values))
    assert found.problem == ""
    assert found.edges == pytest.approx(edges)
    assert found.shares == pytest.approx(shares)


def test_more_of_the_same_is_no_drift() -> None:
    """What comes from the same plant has next to no index, in whole numbers too, and hardly any is beyond."""
    drift = make_stage()
    drift.add(draw_readings(20_000))
    assert drift.psi() == pytest.approx([0, 0], abs=0.01)
    assert drift.beyond_training_ratio().max() < 0.004


def test_a_plant_that_moved_is_drift() -> None:
    """By half a spread the index passes 0.1, by a whole one 0.25, and far away all is beyond training."""
    indices = []
    for shift in (1.0, 2.0, 30.0):
        drift = make_stage()
        drift.add(draw_readings(20_000, shift=shift))
        indices.append(drift.psi())
    assert (indices[0] > 0.1).all()
    assert (indices[1] > 0.25).all()
    assert np.isfinite(indices[2]).all()
    assert drift.beyond_training_ratio() == pytest.approx([1, 1])


def test_zero_before_the_minimum_of_readings() -> None:
    """Before 1,000 readings both are 0, whatever comes."""
    drift = make_stage()
    drift.add(draw_readings(999, shift=30))
    assert not drift.psi().any()
    assert not drift.beyond_training_ratio().any()
    drift.add(draw_readings(2, shift=30))
    assert drift.psi().all()


def test_batches_do_not_matter() -> None:
    """One large batch, many small ones and single readings count alike, and empty ones not at all."""
    values = draw_readings(4000, shift=1)
    whole, parts = make_stage(), make_stage()
    whole.add(values)
    for row in range(1000):
        parts.add(values[row : row + 1])
    parts.add(values[:0])
    for row in range(1000, 4000, 500):
        parts.add(values[row : row + 500])
    assert parts.psi() == pytest.approx(whole.psi(), rel=0.1)


def test_old_counts_decay() -> None:
    """A plant that came back from a week elsewhere is as it was after some hundred thousand readings."""
    drift = make_stage()
    drift.add(draw_readings(50_000, shift=3))
    assert (drift.psi() > 0.25).all()
    for seed in range(10):
        drift.add(draw_readings(50_000, seed=seed + 10))
    assert drift.psi() == pytest.approx([0, 0], abs=0.01)


def test_bundle_without_distribution() -> None:
    """Without statistics nothing is counted and nothing shown."""
    drift = DriftStage(NAMES, None)
    drift.add(np.ones((5000, 4)))
    assert drift.feature_names == ()
    assert len(drift.psi()) == len(drift.beyond_training_ratio()) == 0


def test_another_training_begins_anew() -> None:
    """Stages built for the same training take the counts over, those of another don't."""
    old, same, other = (
        make_stage(),
        make_stage(),
        DriftStage(("a", "b"), {**DISTRIBUTIONS, "b": fit_distribution(TRAINING_VALUES)}),
    )
    old.add(draw_readings(2000, shift=2))
    same.take_over_counts(old)
    other.take_over_counts(old)
    assert same.psi() == pytest.approx(old.psi())
    assert not other.psi().any()


@pytest.mark.parametrize(
    ("changes", "expected_message"),
    [
        ({"edges": (2.0, 1.0)}, "increasing"),
        ({"edges": (1.0, 1.0)}, "increasing"),
        ({"low": 9.0}, "increasing"),
        ({"high": float("inf")}, "increasing"),
        ({"shares": (0.5, 0.5)}, "2 edges need 3 shares, not 2"),
        ({"shares": (0.5, 0.6, -0.1)}, "at least 0 and sum up to 1"),
        ({"shares": (0.5, 0.2, 0.2)}, "at least 0 and sum up to 1"),
    ],
)
def test_wrong_statistics_are_refused(
    changes: dict[str, object], expected_message: str, tmp_path: Path
) -> None:
    """A bundle whose statistics can't be says which feature's and which rule."""
    good = Distribution(0, 3, (1, 2), (0.25, 0.5, 0.25))
    wrong = msgspec.structs.replace(good, **changes)
    if wrong.high < float("inf"):  # which JSON has no word for
        save_toy_bundle(tmp_path / "bundle", distribution={**dict.fromkeys(NAMES, good), NAMES[2]: wrong})
        with pytest.raises(BundleError, match=rf"distribution.{NAMES[2]}: .*{expected_message}"):
            bundle.load(tmp_path / "bundle")
    assert expected_message in wrong.problem
    assert good.problem == ""


def test_statistics_name_the_features(tmp_path: Path) -> None:
    """Statistics of other features are refused, and none are fine."""
    save_toy_bundle(tmp_path / "other", distribution={"pressure": HEALTHY_DISTRIBUTIONS[NAMES[0]]})
    with pytest.raises(BundleError, match="distribution must name"):
        bundle.load(tmp_path / "other")
    save_toy_bundle(tmp_path / "none")
    assert bundle.load(tmp_path / "none").manifest.distribution is None


def test_drift_metrics(toy_bundle: Path, tmp_path: Path) -> None:
    """Each feature's series is there at 0 from the start, and none where the bundle says nothing."""
    save_toy_bundle(tmp_path / "bundle", distribution=HEALTHY_DISTRIBUTIONS)
    for folder, expected in ((tmp_path / "bundle", 0.0), (toy_bundle, None)):
        world = PipelineHarness(folder)
        world.metrics.watch_drift(lambda world=world: world.groups.drift)
        for name in ("drift_psi", "beyond_training_ratio"):
            assert [world.metric_value(name, feature=feature) for feature in NAMES] == [expected] * 4


def test_windows_are_counted_as_they_are_judged(tmp_path: Path) -> None:
    """The newest reading of each judged window counts once, with others if it is alone; no other counts."""
    save_toy_bundle(tmp_path / "bundle", distribution=HEALTHY_DISTRIBUTIONS)
    world = PipelineHarness(tmp_path / "bundle")
    world.metrics.watch_drift(lambda: world.groups.drift)
    far = [*HEALTHY[:3], HEALTHY[3] + 5]
    batches = [
        (2.0 + number / 100, [message(5 * (number - 256), far if number % 2 else HEALTHY)])
        for number in range(256)
    ]
    world.run((1.0, [message(5 * number) for number in range(-1358, -256)]), *batches[:-1])
    assert world.groups.drift.counts.total == pytest.approx(1100, rel=0.001)
    assert world.metric_value("beyond_training_ratio", feature=NAMES[3]) == 0
    world.run(batches[-1])
    assert world.groups.drift.counts.total == pytest.approx(1356, rel=0.02)
    assert world.metric_value("beyond_training_ratio", feature=NAMES[3]) == pytest.approx(
        128 / 1356, rel=0.02
    )
    assert world.metric_value("beyond_training_ratio", feature=NAMES[0]) == 0


def test_every_window_counts_over_a_reload(tmp_path: Path) -> None:
    """What was judged and not counted yet is counted before another chain goes on."""
    save_toy_bundle(tmp_path / "bundle", distribution=HEALTHY_DISTRIBUTIONS)
    world = PipelineHarness(tmp_path / "bundle")
    world.run((1.0, [message(5 * number) for number in range(10)]))
    former = world.groups.drift
    world.groups.replace_scoring(
        build_scoring(bundle.load(tmp_path / "bundle"), WindowSettings(), AlertSettings())
    )
    assert world.groups.drift is not former
    assert world.groups.drift.counts.total == 8


def test_drift_over_reloads(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A running monitor shows drift, keeps it over a reload, and drops it with a bundle that can't tell."""
    save_toy_bundle(tmp_path / "bundle", distribution=HEALTHY_DISTRIBUTIONS)
    monitor = Monitor(tmp_path, tmp_path / "bundle", mosquitto.port)
    name = NAMES[3]
    values = dict(zip(NAMES, HEALTHY, strict=True)) | {name: HEALTHY[3] + 5}
    with run_monitor(monitor), connect_client(mosquitto.port, "sensor-monitor/response/#") as plant:
        plant.publish("plant/a/b/reading", [{"ts": 1000 + 5 * number, **values} for number in range(1500)])
        wait_until(lambda: monitor.metric("beyond_training_ratio", feature=name) == 1, "all is beyond")
        assert monitor.metric("drift_psi", feature=name) > 0.25
        plant.publish("sensor-monitor/request/reload", b"")
        wait_until(lambda: len(plant.messages) == 1, "it is reloaded")
        assert monitor.metric("beyond_training_ratio", feature=name) == 1
        save_toy_bundle(tmp_path / "bundle")
        plant.publish("sensor-monitor/request/reload", b"")
        wait_until(lambda: len(plant.messages) == 2, "it is reloaded again")
        assert np.isnan(monitor.metric("beyond_training_ratio", feature=name))


def test_prometheus_rule() -> None:
    """Prometheus fires a day after an index has passed 0.25, and doesn't for what passes with the hour."""
    run_promtool("check", "rules", "--lint=all", "--lint-fatal", PROMETHEUS_CONFIG / "drift.yml")
    run_promtool("test", "rules", PROMETHEUS_CONFIG / "drift_test.yml")


def test_counts_can_be_summed() -> None:
    """The counts of two processes, added, are those of one that got the readings of both."""
    first, second, both = make_stage(), make_stage(), make_stage()
    readings = draw_readings(50)
    first.add(readings[:30])
    second.add(readings[30:])
    both.add(readings)
    summed = first.counts + second.counts
    assert summed.total == both.counts.total == 50
    np.testing.assert_array_equal(summed.bins, both.counts.bins)
    np.testing.assert_array_equal(summed.beyond, both.counts.beyond)
