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
from monitor.service.settings_to_stages import build_scoring
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
    """Return model inputs of two features, the second rounded to whole numbers: (reading, feature)."""
    values = np.random.default_rng(seed).normal(20 + shift, 2, (readings, 2))
    values[:, 1] = np.round(values[:, 1])
    return values


def make_stage() -> DriftStage:
    """Return a stage that compares with `TRAINING_VALUES`."""
    return DriftStage(("a", "b"), DISTRIBUTIONS)


def test_bins_hold_a_tenth_each() -> None:
    """Of continuous values a tenth is in each bin, and a thousandth is beyond either end of the range."""
    distribution = DISTRIBUTIONS["a"]
    assert distribution.shares == pytest.approx([0.1] * 10, abs=1e-3)
    assert np.mean(distribution.low > TRAINING_VALUES) == pytest.approx(1e-3, abs=1e-4)
    assert np.mean(distribution.high < TRAINING_VALUES) == pytest.approx(1e-3, abs=1e-4)


def test_feature_without_distribution_is_not_compared() -> None:
    """Features that the training data tell nothing of are left out."""
    stage = DriftStage(("a", "c", "b"), DISTRIBUTIONS)
    readings = draw_readings(2000)
    stage.add(np.column_stack([readings[:, 0], np.full(2000, 1e9), readings[:, 1]]))
    assert stage.feature_names == ("a", "b")
    assert stage.psi() == pytest.approx([0, 0], abs=0.05)
    assert stage.beyond_training_ratio() == pytest.approx([0, 0], abs=0.01)


def test_outlier_does_not_set_the_range() -> None:
    """One outlier among thousands of values is outside the range, unless all other values are equal."""
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
def test_repeated_values(values: list[float], edges: tuple[float, ...], shares: tuple[float, ...]) -> None:
    """Repeated values give fewer bins, with the shares of the values."""
    distribution = fit_distribution(np.array(values))
    assert distribution.problem == ""
    assert distribution.edges == pytest.approx(edges)
    assert distribution.shares == pytest.approx(shares)


def test_same_distribution_is_no_drift() -> None:
    """Values of the training distribution have a PSI near 0, also whole numbers, and few are out of range."""
    drift = make_stage()
    drift.add(draw_readings(20_000))
    assert drift.psi() == pytest.approx([0, 0], abs=0.01)
    assert drift.beyond_training_ratio().max() < 0.004


def test_shifted_distribution_is_drift() -> None:
    """A shift by half a standard deviation gives a PSI above 0.1, by one above 0.25.

    After a shift by 15 standard deviations the PSI is finite, and all readings are out of range.
    """
    psi_values = []
    for shift in (1.0, 2.0, 30.0):
        drift = make_stage()
        drift.add(draw_readings(20_000, shift=shift))
        psi_values.append(drift.psi())
    assert (psi_values[0] > 0.1).all()
    assert (psi_values[1] > 0.25).all()
    assert np.isfinite(psi_values[2]).all()
    assert drift.beyond_training_ratio() == pytest.approx([1, 1])


def test_zero_before_the_minimum_of_readings() -> None:
    """PSI and ratio are 0 before 1,000 readings."""
    drift = make_stage()
    drift.add(draw_readings(999, shift=30))
    assert not drift.psi().any()
    assert not drift.beyond_training_ratio().any()
    drift.add(draw_readings(2, shift=30))
    assert drift.psi().all()


def test_batches_do_not_matter() -> None:
    """The PSI hardly depends on the size of the batches; empty batches change nothing."""
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
    """A shift for 50,000 readings has no effect any more after 500,000 readings without it."""
    drift = make_stage()
    drift.add(draw_readings(50_000, shift=3))
    assert (drift.psi() > 0.25).all()
    for seed in range(10):
        drift.add(draw_readings(50_000, seed=seed + 10))
    assert drift.psi() == pytest.approx([0, 0], abs=0.01)


def test_stage_without_reference() -> None:
    """Without reference distributions the stage has no features and no results."""
    drift = DriftStage(NAMES, None)
    drift.add(np.ones((5000, 4)))
    assert drift.feature_names == ()
    assert len(drift.psi()) == len(drift.beyond_training_ratio()) == 0


def test_counts_are_taken_over_for_the_same_reference_only() -> None:
    """A stage takes over the counts of another stage only if both have the same reference."""
    old, same = make_stage(), make_stage()
    other = DriftStage(("a", "b"), {**DISTRIBUTIONS, "b": fit_distribution(TRAINING_VALUES)})
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
def test_invalid_distribution_is_rejected(
    changes: dict[str, object], expected_message: str, tmp_path: Path
) -> None:
    """A bundle with an invalid distribution is rejected with the feature and the rule that it breaks."""
    valid = Distribution(0, 3, (1, 2), (0.25, 0.5, 0.25))
    invalid = msgspec.structs.replace(valid, **changes)
    if invalid.high < float("inf"):  # JSON can't express infinity
        save_toy_bundle(tmp_path / "bundle", distribution={**dict.fromkeys(NAMES, valid), NAMES[2]: invalid})
        with pytest.raises(BundleError, match=rf"distribution.{NAMES[2]}: .*{expected_message}"):
            bundle.load(tmp_path / "bundle")
    assert expected_message in invalid.problem
    assert valid.problem == ""


def test_distribution_names_the_features(tmp_path: Path) -> None:
    """Distributions of other features are rejected; a bundle without any is valid."""
    save_toy_bundle(tmp_path / "other", distribution={"pressure": HEALTHY_DISTRIBUTIONS[NAMES[0]]})
    with pytest.raises(BundleError, match="distribution must name"):
        bundle.load(tmp_path / "other")
    save_toy_bundle(tmp_path / "none")
    assert bundle.load(tmp_path / "none").manifest.distribution is None


def test_drift_metrics(toy_bundle: Path, tmp_path: Path) -> None:
    """Each feature has a series that starts at 0; a bundle without distributions has none."""
    save_toy_bundle(tmp_path / "bundle", distribution=HEALTHY_DISTRIBUTIONS)
    for folder, expected in ((tmp_path / "bundle", 0.0), (toy_bundle, None)):
        harness = PipelineHarness(folder)
        harness.metrics.watch_drift(lambda harness=harness: harness.groups.drift)
        for name in ("drift_psi", "beyond_training_ratio"):
            assert [harness.metric_value(name, feature=feature) for feature in NAMES] == [expected] * 4


def test_windows_are_counted_as_they_are_judged(tmp_path: Path) -> None:
    """The last reading of each judged window is counted once, and single readings in batches of 256."""
    save_toy_bundle(tmp_path / "bundle", distribution=HEALTHY_DISTRIBUTIONS)
    harness = PipelineHarness(tmp_path / "bundle")
    harness.metrics.watch_drift(lambda: harness.groups.drift)
    out_of_range = [*HEALTHY[:3], HEALTHY[3] + 5]
    batches = [
        (2.0 + number / 100, [message(5 * (number - 256), out_of_range if number % 2 else HEALTHY)])
        for number in range(256)
    ]
    harness.run((1.0, [message(5 * number) for number in range(-1358, -256)]), *batches[:-1])
    assert harness.groups.drift.counts.total == pytest.approx(1100, rel=0.001)
    assert harness.metric_value("beyond_training_ratio", feature=NAMES[3]) == 0
    harness.run(batches[-1])
    assert harness.groups.drift.counts.total == pytest.approx(1356, rel=0.02)
    assert harness.metric_value("beyond_training_ratio", feature=NAMES[3]) == pytest.approx(
        128 / 1356, rel=0.02
    )
    assert harness.metric_value("beyond_training_ratio", feature=NAMES[0]) == 0


def test_reload_counts_pending_inputs(tmp_path: Path) -> None:
    """Windows that were judged and not counted yet are counted when `Scoring` is replaced."""
    save_toy_bundle(tmp_path / "bundle", distribution=HEALTHY_DISTRIBUTIONS)
    harness = PipelineHarness(tmp_path / "bundle")
    harness.run((1.0, [message(5 * number) for number in range(10)]))
    former = harness.groups.drift
    harness.groups.replace_scoring(
        build_scoring(bundle.load(tmp_path / "bundle"), WindowSettings(), AlertSettings())
    )
    assert harness.groups.drift is not former
    assert harness.groups.drift.counts.total == 8


def test_drift_over_reloads(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A monitor keeps its drift metrics over a reload, and drops them for a bundle without distributions."""
    save_toy_bundle(tmp_path / "bundle", distribution=HEALTHY_DISTRIBUTIONS)
    monitor = Monitor(tmp_path, tmp_path / "bundle", mosquitto.port)
    name = NAMES[3]
    values = dict(zip(NAMES, HEALTHY, strict=True)) | {name: HEALTHY[3] + 5}
    with run_monitor(monitor), connect_client(mosquitto.port, "sensor-monitor/response/#") as plant:
        plant.publish("plant/a/b/reading", [{"ts": 1000 + 5 * number, **values} for number in range(1500)])
        wait_until(lambda: monitor.metric("beyond_training_ratio", feature=name) == 1, "all are out of range")
        assert monitor.metric("drift_psi", feature=name) > 0.25
        plant.publish("sensor-monitor/request/reload", b"")
        wait_until(lambda: len(plant.messages) == 1, "the first reload is answered")
        assert monitor.metric("beyond_training_ratio", feature=name) == 1
        save_toy_bundle(tmp_path / "bundle")
        plant.publish("sensor-monitor/request/reload", b"")
        wait_until(lambda: len(plant.messages) == 2, "the second reload is answered")
        assert np.isnan(monitor.metric("beyond_training_ratio", feature=name))


def test_prometheus_rule() -> None:
    """The Prometheus rule fires when a PSI was above 0.25 for a day, and not after an hour above it."""
    run_promtool("check", "rules", "--lint=all", "--lint-fatal", PROMETHEUS_CONFIG / "drift.yml")
    run_promtool("test", "rules", PROMETHEUS_CONFIG / "drift_test.yml")


def test_counts_can_be_summed() -> None:
    """The sum of the counts of two processes equals the counts of a process with the readings of both."""
    first, second, both = make_stage(), make_stage(), make_stage()
    readings = draw_readings(50)
    first.add(readings[:30])
    second.add(readings[30:])
    both.add(readings)
    summed = first.counts + second.counts
    assert summed.total == both.counts.total == 50
    np.testing.assert_array_equal(summed.bins, both.counts.bins)
    np.testing.assert_array_equal(summed.beyond, both.counts.beyond)
