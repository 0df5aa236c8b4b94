from pathlib import Path

import msgspec
import numpy as np
import pytest

from monitor import bundle
from monitor.bundle import BundleError
from monitor.bundle.manifest import Distribution
from monitor.config.settings import Alerts, WindowSettings
from monitor.core.arrays import FloatArray
from monitor.detect.drift import DriftStage, learn
from monitor.service.stages import build_scoring
from tests.conftest import Mosquitto, wait_until
from tests.monitor.service.pipeline_fixture import World, message
from tests.observability.prometheus_server import CONFIG
from tests.observability.test_rules import promtool
from tests.support.processes import Monitor, client, running
from tests.support.toy_bundle import HEALTHY, NAMES, save_toy_bundle

TRAINED = np.random.default_rng(0).normal(20, 2, 50_000)
NAMED = {"a": learn(TRAINED), "b": learn(np.round(TRAINED))}
AROUND = {
    name: Distribution(value - 1, value + 1, (value,), (0.5, 0.5))
    for name, value in zip(NAMES, HEALTHY, strict=True)
}


def draw(readings: int, *, shift: float = 0.0, seed: int = 1) -> FloatArray:
    """Return readings of two features, the second in whole numbers."""
    values = np.random.default_rng(seed).normal(20 + shift, 2, (readings, 2))
    values[:, 1] = np.round(values[:, 1])
    return values


def stage() -> DriftStage:
    """Return a stage that compares with what was trained on."""
    return DriftStage(("a", "b"), NAMED)


def test_deciles_hold_a_tenth_each() -> None:
    """Of continuous values each bin holds a tenth, and a thousandth is beyond either end."""
    found = NAMED["a"]
    assert found.shares == pytest.approx([0.1] * 10, abs=1e-3)
    assert np.mean(found.low > TRAINED) == pytest.approx(1e-3, abs=1e-4)
    assert np.mean(found.high < TRAINED) == pytest.approx(1e-3, abs=1e-4)


def test_one_reading_is_no_end() -> None:
    """One odd value among thousands doesn't make the range; where all others are equal it does."""
    assert learn(np.array([*range(9999), 1e6])).high < 9999
    assert learn(np.array([5.0] * 9999 + [7.0])).high == 7


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
    found = learn(np.array(values))
    assert found.problem == ""
    assert found.edges == pytest.approx(edges)
    assert found.shares == pytest.approx(shares)


def test_more_of_the_same_is_no_drift() -> None:
    """What comes from the same plant has next to no index, in whole numbers too, and hardly any is beyond."""
    same = stage()
    same.add(draw(20_000))
    assert same.psi() == pytest.approx([0, 0], abs=0.01)
    assert same.beyond().max() < 0.004


def test_a_plant_that_moved_is_drift() -> None:
    """By half a spread the index passes 0.1, by a whole one 0.25, and far away all is beyond training."""
    indices = []
    for shift in (1.0, 2.0, 30.0):
        moved = stage()
        moved.add(draw(20_000, shift=shift))
        indices.append(moved.psi())
    assert (indices[0] > 0.1).all()
    assert (indices[1] > 0.25).all()
    assert np.isfinite(indices[2]).all()
    assert moved.beyond() == pytest.approx([1, 1])


def test_nothing_is_said_before_there_is_enough() -> None:
    """Before 1,000 readings both are 0, whatever comes."""
    early = stage()
    early.add(draw(999, shift=30))
    assert not early.psi().any()
    assert not early.beyond().any()
    early.add(draw(2, shift=30))
    assert early.psi().all()


def test_batches_do_not_matter() -> None:
    """One large batch, many small ones and single readings count alike, and empty ones not at all."""
    values = draw(4000, shift=1)
    whole, parts = stage(), stage()
    whole.add(values)
    for row in range(1000):
        parts.add(values[row : row + 1])
    parts.add(values[:0])
    for row in range(1000, 4000, 500):
        parts.add(values[row : row + 500])
    assert parts.psi() == pytest.approx(whole.psi(), rel=0.1)


def test_what_was_is_forgotten() -> None:
    """A plant that came back from a week elsewhere is as it was after some hundred thousand readings."""
    back = stage()
    back.add(draw(50_000, shift=3))
    assert (back.psi() > 0.25).all()
    for seed in range(10):
        back.add(draw(50_000, seed=seed + 10))
    assert back.psi() == pytest.approx([0, 0], abs=0.01)


def test_a_bundle_that_says_nothing() -> None:
    """Without statistics nothing is counted and nothing shown."""
    silent = DriftStage(NAMES, None)
    silent.add(np.ones((5000, 4)))
    assert silent.names == ()
    assert len(silent.psi()) == len(silent.beyond()) == 0


def test_another_training_begins_anew() -> None:
    """Stages built for the same training take the counts over, those of another don't."""
    old, same, other = stage(), stage(), DriftStage(("a", "b"), {**NAMED, "b": learn(TRAINED)})
    old.add(draw(2000, shift=2))
    same.follow(old)
    other.follow(old)
    assert same.psi() == pytest.approx(old.psi())
    assert not other.psi().any()


@pytest.mark.parametrize(
    ("changes", "told"),
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
def test_wrong_statistics_are_refused(changes: dict[str, object], told: str, tmp_path: Path) -> None:
    """A bundle whose statistics can't be says which feature's and which rule."""
    good = Distribution(0, 3, (1, 2), (0.25, 0.5, 0.25))
    wrong = msgspec.structs.replace(good, **changes)
    if wrong.high < float("inf"):  # which JSON has no word for
        save_toy_bundle(tmp_path / "bundle", distribution={**dict.fromkeys(NAMES, good), NAMES[2]: wrong})
        with pytest.raises(BundleError, match=rf"distribution.{NAMES[2]}: .*{told}"):
            bundle.load(tmp_path / "bundle")
    assert told in wrong.problem
    assert good.problem == ""


def test_statistics_name_the_features(tmp_path: Path) -> None:
    """Statistics of other features are refused, and none are fine."""
    save_toy_bundle(tmp_path / "other", distribution={"pressure": AROUND[NAMES[0]]})
    with pytest.raises(BundleError, match="distribution must name"):
        bundle.load(tmp_path / "other")
    save_toy_bundle(tmp_path / "none")
    assert bundle.load(tmp_path / "none").manifest.distribution is None


def test_series(toy_bundle: Path, tmp_path: Path) -> None:
    """Each feature's series is there at 0 from the start, and none where the bundle says nothing."""
    save_toy_bundle(tmp_path / "bundle", distribution=AROUND)
    for folder, expected in ((tmp_path / "bundle", 0.0), (toy_bundle, None)):
        world = World(folder)
        world.metrics.watch_drift(lambda world=world: world.memory.chain.drift)
        for name in ("drift_psi", "beyond_training_ratio"):
            assert [world.value(name, feature=feature) for feature in NAMES] == [expected] * 4


def test_windows_are_counted_as_they_are_judged(tmp_path: Path) -> None:
    """The newest reading of each judged window counts once, with others if it is alone; no other counts."""
    save_toy_bundle(tmp_path / "bundle", distribution=AROUND)
    world = World(tmp_path / "bundle")
    world.metrics.watch_drift(lambda: world.memory.chain.drift)
    far = [*HEALTHY[:3], HEALTHY[3] + 5]
    turns = [
        (2.0 + number / 100, [message(5 * (number - 256), far if number % 2 else HEALTHY)])
        for number in range(256)
    ]
    world.run((1.0, [message(5 * number) for number in range(-1358, -256)]), *turns[:-1])
    assert world.memory.chain.drift.counted[2] == pytest.approx(1100, rel=0.001)
    assert world.value("beyond_training_ratio", feature=NAMES[3]) == 0
    world.run(turns[-1])
    assert world.memory.chain.drift.counted[2] == pytest.approx(1356, rel=0.02)
    assert world.value("beyond_training_ratio", feature=NAMES[3]) == pytest.approx(128 / 1356, rel=0.02)
    assert world.value("beyond_training_ratio", feature=NAMES[0]) == 0


def test_every_window_counts_over_a_reload(tmp_path: Path) -> None:
    """What was judged and not counted yet is counted before another chain goes on."""
    save_toy_bundle(tmp_path / "bundle", distribution=AROUND)
    world = World(tmp_path / "bundle")
    world.run((1.0, [message(5 * number) for number in range(10)]))
    former = world.memory.chain
    world.memory.move_to(build_scoring(bundle.load(tmp_path / "bundle"), WindowSettings(), Alerts()))
    assert world.memory.chain is not former
    assert world.memory.chain.drift.counted[2] == 8


def test_a_daemon_and_its_next_bundle(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A running monitor shows drift, keeps it over a reload, and drops it with a bundle that can't tell."""
    save_toy_bundle(tmp_path / "bundle", distribution=AROUND)
    monitor = Monitor(tmp_path, tmp_path / "bundle", mosquitto.port)
    name = NAMES[3]
    values = dict(zip(NAMES, HEALTHY, strict=True)) | {name: HEALTHY[3] + 5}
    with running(monitor), client(mosquitto.port, "sensor-monitor/response/#") as plant:
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


def test_the_rule() -> None:
    """Prometheus fires a day after an index has passed 0.25, and doesn't for what passes with the hour."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", CONFIG / "drift.yml")
    promtool("test", "rules", CONFIG / "drift_test.yml")
