"""A bundle with a baseline, through all stages and what surrounds them."""

import json
from pathlib import Path

import numpy as np
import pytest

from monitor import bundle
from monitor.bundle import BundleError
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome, Readings
from monitor.detect.baseline import BaselineSpec
from monitor.detect.scoring import Scoring
from monitor.service.stages import build_scoring
from tests.monitor.service.pipeline_fixture import PipelineHarness, message
from tests.support.toy_bundle import HEALTHY, save_toy_bundle

BASELINE = BaselineSpec(floors=(0.08, 0.5, 0.08, 0.5))
WARM_UP = ["filling"] * 2 + ["warming"] * 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a toy with a baseline: Faulty where the temperatures are 50 units apart."""
    folder = tmp_path_factory.mktemp("toy") / "bundle"
    save_toy_bundle(folder, baseline=BASELINE)
    return folder


def _plant_values(readings: int = 300) -> FloatArray:
    """Return a plant that warms up, its second temperature faulty near its end: (reading, feature)."""
    values = np.tile(HEALTHY, (readings, 1)) + np.linspace(0, 9, readings)[:, None] * [1, -2, 1, -2]
    values[-100:-50, 2] += 10
    return values


def _readings(values: FloatArray, first: int = 0, group: str = "g") -> Readings:
    count = len(values)
    ts = np.arange(first, first + count) * 5.0
    far, zero = np.full(count, np.inf), np.zeros(count)
    return Readings([group] * count, ts, values, far, zero, zero.astype(np.bool_))


def _scoring(folder: Path) -> Scoring:
    return build_scoring(bundle.load(folder), WindowSettings(), AlertSettings())


def test_warm_up(folder: Path) -> None:
    """Until there is a normal, readings are `warming` and get no verdict; the tenth is judged."""
    batch = _scoring(folder).judge(_readings(_plant_values(40)))
    assert batch.windows.outcomes == [Outcome(name) for name in WARM_UP] + [Outcome.JUDGED] * 31
    assert len(batch.judged_windows.groups) == len(batch.windows.reading_indices) == 31
    assert batch.windows.reading_indices[0] == 9


def test_far_from_training_is_normal(folder: Path) -> None:
    """A plant in another climate is Normal and in range, and its faulty sensor Faulty."""
    judged = (
        _scoring(folder).judge(_readings(_plant_values() + np.array([200, -40, 203, -30]))).judged_windows
    )
    inside = np.zeros(len(judged.faulty), dtype=np.bool_)
    inside[-100:-48] = True
    np.testing.assert_array_equal(judged.faulty, inside)
    assert not judged.out_of_range[~inside].any()


def test_out_of_range_is_in_units(folder: Path) -> None:
    """What strays far beyond what training saw is flagged, wherever the plant's normal is."""
    values = _plant_values()
    values[-100:-50, 2] += 20
    judged = _scoring(folder).judge(_readings(values)).judged_windows
    assert judged.out_of_range[-100:-48].all()
    assert not judged.out_of_range[:-100].any()


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batch_size_makes_no_difference(folder: Path, size: int) -> None:
    """What is said of a recording doesn't depend on how it is cut into batches, to the last bit."""
    values = _plant_values()
    whole = _scoring(folder).judge(_readings(values))
    scoring = _scoring(folder)
    parts = [
        scoring.judge(_readings(values[start : start + size], start)) for start in range(0, len(values), size)
    ]
    assert [outcome for part in parts for outcome in part.windows.outcomes] == whole.windows.outcomes
    np.testing.assert_array_equal(
        np.concatenate([part.judged_windows.scores for part in parts]), whole.judged_windows.scores
    )
    assert [event for part in parts for event in part.events] == whole.events


def test_alerts_hold_raw_values(folder: Path) -> None:
    """The window of an alert is what the sensors sent."""
    values = _plant_values()
    (firing, _) = _scoring(folder).judge(_readings(values)).events
    np.testing.assert_array_equal(firing.window_values, values[-102:-99])


@pytest.mark.parametrize("column", [0, 2])
def test_contribution_names_the_faulty_sensor(folder: Path, column: int) -> None:
    """Of two sensors that differ, the one that left its own normal has contributed, and not its neighbour."""
    values = _plant_values()
    values[-100:-50, 2] -= 10
    values[-100:-50, column] += 10
    firing = _scoring(folder).judge(_readings(values)).events[0]
    assert firing.contributions is not None
    assert int(np.argmax(firing.contributions)) == column
    assert firing.contributions[column] > 0.99
    assert firing.reason.startswith(f"temperature_{1 + column // 2} reads")


def _messages(values: FloatArray, first: int = 0) -> list:  # type: ignore[type-arg]
    return [message((first + at) / 5, list(row), "p/a") for at, row in enumerate(values)]


def _baseline(world: PipelineHarness) -> bytes:
    """Return what is kept of the baseline of group a."""
    return world.groups._scoring.dump("a").baseline  # noqa: SLF001


def test_state_and_metrics(folder: Path) -> None:
    """A group is `filling`, `warming`, then `baseline`, and each reading is counted as what it was."""
    world = PipelineHarness(folder)
    values = _plant_values()
    world.run(*((1.0, [row]) for row in _messages(values[:30])))
    assert [said["state"] for said in world.payloads("state/")] == ["filling", "warming", "normal"]
    assert [
        world.metric_value("readings_total", outcome=name) for name in ("filling", "warming", "judged")
    ] == [
        2,
        7,
        21,
    ]


@pytest.mark.parametrize("cut", [5, 14, 150, 230])
def test_a_group_moves(folder: Path, cut: int) -> None:
    """What is known of a group, its normal included, moves to another process as one value."""
    values = _plant_values()
    whole, first, second = PipelineHarness(folder), PipelineHarness(folder), PipelineHarness(folder)
    whole.run((1.0, _messages(values[:cut])), (1.0, _messages(values[cut:], cut)))
    first.run((1.0, _messages(values[:cut])))
    value = first.groups.dump("a")
    assert value is not None
    second.groups.load("a", value, 1.0)
    second.run((1.0, _messages(values[cut:], cut)))
    assert first.payloads("alerts/") + second.payloads("alerts/") == whole.payloads("alerts/")
    assert _baseline(second) == _baseline(whole)


def test_evicted_group_has_no_baseline(folder: Path) -> None:
    """A group that is set aside leaves nothing behind."""
    world = PipelineHarness(folder, max_groups=1)
    world.run((1.0, _messages(_plant_values())), (2.0, [message(0, topic="p/b")]))
    assert world.groups._scoring._baseline.groups() == []  # noqa: SLF001


def test_change_of_bundle(folder: Path, toy_bundle: Path) -> None:
    """A new bundle goes on with the normals that are known; after one without a baseline, it learns them."""
    world = PipelineHarness(folder)
    world.run((1.0, _messages(_plant_values())))
    known = _baseline(world)
    world.groups.replace_scoring(_scoring(folder))
    assert _baseline(world) == known
    world.groups.replace_scoring(_scoring(toy_bundle))
    assert world.groups.dump("a") is not None
    world.groups.replace_scoring(_scoring(folder))
    assert _baseline(world) != known


def test_false_alarm(folder: Path) -> None:
    """After a false alarm the group's normal is what it does now, and no longer Faulty."""
    world = PipelineHarness(folder)
    values = _plant_values()
    values[-50:, 2] += 10  # it stays so
    world.run((1.0, _messages(values[:250])))
    world.groups.reset_after_false_alarm("a")
    world.run((2.0, _messages(values[250:], 250)))
    assert world.outcomes()["warming"] == 14
    assert [said["state"] for said in world.payloads("state/")][-1] == "normal"


def test_state_from_a_bundle_without_baseline(folder: Path, toy_bundle: Path) -> None:
    """A group that a bundle without a baseline kept begins to learn its normal."""
    before, after = PipelineHarness(toy_bundle), PipelineHarness(folder)
    before.run((1.0, _messages(_plant_values(30))))
    value = before.groups.dump("a")
    assert value is not None
    after.groups.load("a", value, 1.0)
    after.run((1.0, _messages(_plant_values(60)[30:], 30)))
    assert after.metric_value("readings_total", outcome="warming") == 7


@pytest.mark.parametrize(
    ("baselines", "expected_message"),
    [
        (None, "expected for each window its baseline: 3 x 4 numbers"),
        ([[HEALTHY, [1, 1, 0, 1], HEALTHY]] * 3, "units above 0"),
        ([[HEALTHY, [1, 1, 1], HEALTHY]] * 3, "expected for each window"),
        ([[HEALTHY, [9.0] * 4, HEALTHY]] * 3, "scores differ from training's"),
    ],
)
def test_golden_baselines(tmp_path: Path, baselines: object, expected_message: str) -> None:
    """Golden windows without a good normal, or with another than they had, are refused."""
    save_toy_bundle(tmp_path / "bundle", baseline=BASELINE)
    loaded = bundle.load(tmp_path / "bundle")
    golden = json.loads((tmp_path / "bundle/golden.json").read_bytes())
    changed = bundle.GoldenFile(tuple(golden["features"]), golden["windows"], golden["scores"], baselines)  # type: ignore[arg-type]
    model = (tmp_path / "bundle/model.onnx").read_bytes()
    bundle.save(tmp_path / "bundle", loaded.manifest, model, loaded.scaler, changed)
    with pytest.raises(BundleError, match=expected_message):
        bundle.load(tmp_path / "bundle")
