"""`Scoring` with a bundle that has a baseline, alone and in the pipeline."""

import json
from pathlib import Path

import numpy as np
import pytest

from monitor import bundle
from monitor.bundle import BundleError
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome, Readings
from monitor.core.verdicts import Detector
from monitor.detect.baseline import BaselineSpec
from monitor.detect.scoring import Scoring, StageStates
from monitor.service.settings_to_stages import build_scoring
from tests.monitor.service.pipeline_fixture import PipelineHarness, message
from tests.support.toy_bundle import HEALTHY, save_toy_bundle

BASELINE = BaselineSpec(floors=(0.08, 0.5, 0.08, 0.5))
WARM_UP = ["filling"] * 2 + ["warming"] * 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy bundle with a baseline: Faulty if the temperatures are 50 units apart."""
    folder = tmp_path_factory.mktemp("toy") / "bundle"
    save_toy_bundle(folder, baseline=BASELINE)
    return folder


def _plant_values(readings: int = 300) -> FloatArray:
    """Return readings (reading, feature) of a plant that gets warmer, with a fault of one temperature."""
    values = np.tile(HEALTHY, (readings, 1)) + np.linspace(0, 9, readings)[:, None] * [1, -2, 1, -2]
    values[-100:-50, 2] += 10
    return values


def _readings(values: FloatArray, first: int = 0, group: str = "g") -> Readings:
    count = len(values)
    ts = np.arange(first, first + count) * 5.0
    return Readings(
        groups=[group] * count,
        ts=ts,
        values=values,
        arrived_at=np.full(count, np.inf),
        arrived_monotonic=np.zeros(count),
        redelivered=np.zeros(count, dtype=np.bool_),
    )


def _scoring(folder: Path) -> Scoring:
    return build_scoring(bundle.load(folder), WindowSettings(), AlertSettings())


def test_warm_up(folder: Path) -> None:
    """Until a group has a baseline its readings are `warming` and get no verdict; the tenth is judged."""
    batch = _scoring(folder).judge(_readings(_plant_values(40)))
    assert batch.windows.outcomes == [Outcome(name) for name in WARM_UP] + [Outcome.JUDGED] * 31
    assert len(batch.judged_windows.groups) == len(batch.windows.reading_indices) == 31
    assert batch.windows.reading_indices[0] == 9


def test_other_climate_is_normal(folder: Path) -> None:
    """A plant in another climate is Normal and in range; only its faulty sensor makes windows Faulty."""
    values = _plant_values() + np.array([200, 20, 203, 30])
    judged = _scoring(folder).judge(_readings(values)).judged_windows
    expected = np.zeros(len(judged.faulty), dtype=np.bool_)
    expected[-100:-48] = True
    np.testing.assert_array_equal(judged.faulty, expected)
    assert not judged.out_of_range[~expected].any()


def test_out_of_range_is_in_units(folder: Path) -> None:
    """`out_of_range` flags deviations far beyond the deviations in the training data."""
    values = _plant_values()
    values[-100:-50, 2] += 20
    judged = _scoring(folder).judge(_readings(values)).judged_windows
    assert judged.out_of_range[-100:-48].all()
    assert not judged.out_of_range[:-100].any()


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batch_size_makes_no_difference(folder: Path, size: int) -> None:
    """The results for a recording are the same to the bit however it is split into batches."""
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
    """The window of an alert event has the values as the sensors sent them."""
    values = _plant_values()
    (firing, _) = _scoring(folder).judge(_readings(values)).events
    np.testing.assert_array_equal(firing.window_values, values[-102:-99])


@pytest.mark.parametrize("column", [0, 2])
def test_contribution_names_the_faulty_sensor(folder: Path, column: int) -> None:
    """The sensor that left its baseline has the contribution, and its healthy neighbour has none."""
    values = _plant_values()
    values[-100:-50, 2] -= 10
    values[-100:-50, column] += 10
    firing = _scoring(folder).judge(_readings(values)).events[0]
    assert firing.contributions is not None
    assert int(np.argmax(firing.contributions)) == column
    assert firing.contributions[column] > 0.99
    assert firing.reason.startswith(f"temperature_{1 + column // 2} reads")


def _messages(values: FloatArray, first: int = 0) -> list:  # type: ignore[type-arg]
    return [message((first + number) / 5, list(row), "p/a") for number, row in enumerate(values)]


def _baseline(harness: PipelineHarness) -> bytes:
    """Return the stored baseline state of group a."""
    return harness.groups._scoring.dump("a").baseline  # noqa: SLF001


def test_state_and_metrics(folder: Path) -> None:
    """A group's state is `filling`, `warming`, then `normal`, and each reading is counted by its outcome."""
    harness = PipelineHarness(folder)
    values = _plant_values()
    harness.run(*((1.0, [row]) for row in _messages(values[:30])))
    assert [payload["state"] for payload in harness.payloads("state/")] == ["filling", "warming", "normal"]
    counts = {
        outcome: harness.metric_value("readings_total", outcome=outcome)
        for outcome in ("filling", "warming", "judged")
    }
    assert counts == {"filling": 2, "warming": 7, "judged": 21}


@pytest.mark.parametrize("cut", [5, 14, 150, 230])
def test_group_moves_with_its_baseline(folder: Path, cut: int) -> None:
    """A group's state, including its baseline, moves to another process as one value."""
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
    """No state of an evicted group is left in memory."""
    harness = PipelineHarness(folder, max_groups=1)
    harness.run((1.0, _messages(_plant_values())), (2.0, [message(0, topic="p/b")]))
    assert harness.groups._scoring._baseline.groups() == []  # noqa: SLF001


def test_change_of_bundle(folder: Path, toy_bundle: Path) -> None:
    """A new bundle keeps learnt baselines; after a bundle without a baseline, they are learnt."""
    harness = PipelineHarness(folder)
    harness.run((1.0, _messages(_plant_values())))
    known = _baseline(harness)
    harness.groups.replace_scoring(_scoring(folder))
    assert _baseline(harness) == known
    harness.groups.replace_scoring(_scoring(toy_bundle))
    assert harness.groups.dump("a") is not None
    harness.groups.replace_scoring(_scoring(folder))
    assert _baseline(harness) != known


def test_false_alarm(folder: Path) -> None:
    """After a false alarm the baseline is learnt again from the present readings, which are then Normal."""
    harness = PipelineHarness(folder)
    values = _plant_values()
    values[-50:, 2] += 10  # the fault lasts until the end
    harness.run((1.0, _messages(values[:250])))
    harness.groups.reset_after_false_alarm("a")
    harness.run((2.0, _messages(values[250:], 250)))
    assert harness.outcomes()["warming"] == 14
    assert harness.payloads("state/")[-1]["state"] == "normal"


def test_state_from_a_bundle_without_baseline(folder: Path, toy_bundle: Path) -> None:
    """A group whose state comes from a bundle without baseline starts to learn its baseline."""
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
    """Golden windows with missing, invalid or changed baselines are rejected."""
    save_toy_bundle(tmp_path / "bundle", baseline=BASELINE)
    loaded = bundle.load(tmp_path / "bundle")
    golden = json.loads((tmp_path / "bundle/golden.json").read_bytes())
    changed = bundle.GoldenFile(tuple(golden["features"]), golden["windows"], golden["scores"], baselines)  # type: ignore[arg-type]
    model = (tmp_path / "bundle/model.onnx").read_bytes()
    bundle.save(tmp_path / "bundle", loaded.manifest, model, loaded.scaler, changed)
    with pytest.raises(BundleError, match=expected_message):
        bundle.load(tmp_path / "bundle")


def _impossible(values: FloatArray, start: int, end: int) -> FloatArray:
    """Return the values with both temperatures at -127 degC in readings `start` to `end`."""
    values = values.copy()
    values[start:end, [0, 2]] = -127
    return values


def test_check_judges_warming_windows(folder: Path) -> None:
    """A dead station is Faulty from its first window on, without a score, and warms up when it lives."""
    values = _impossible(_plant_values(60), 0, 20)
    batch = _scoring(folder).judge(_readings(values))
    judged = batch.judged_windows
    assert batch.windows.outcomes[:22] == [Outcome.FILLING] * 2 + [Outcome.JUDGED] * 20
    assert batch.windows.outcomes[22:29] == [Outcome.WARMING] * 7
    assert judged.faulty.tolist() == [True] * 20 + [False] * 31
    assert np.isnan(judged.scores).tolist() == [True] * 20 + [False] * 31
    assert set(judged.detectors[:20]) == {Detector.LIMITS}
    firing, resolved = batch.events
    assert (firing.score, firing.contributions, firing.detector) == (None, None, "limits")
    assert firing.reason == (
        "temperature_2 reads -127 degC, below -100 degC, the lowest its sensor can have; temperature_1 too"
    )
    assert (resolved.status, resolved.detector, resolved.reason) == ("resolved", "limits", "")


@pytest.mark.parametrize("size", [1, 7, 300])
def test_impossible_values_teach_nothing(folder: Path, size: int) -> None:
    """After impossible values the scores are those of a plant that did not send the windows with them."""
    values = _plant_values()
    start, end = 60, 100
    scoring, other = _scoring(folder), _scoring(folder)
    readings = _impossible(values, start, end)
    scores: list[float] = []
    for first in range(0, len(values), size):
        scores += scoring.judge(
            _readings(readings[first : first + size], first)
        ).judged_windows.scores.tolist()
    expected = other.judge(_readings(values[:start])).judged_windows.scores.tolist()
    other.mark_silent("g")
    expected += other.judge(_readings(values[end:], end)).judged_windows.scores.tolist()
    assert scores[: start - 9] + scores[end + 2 - 9 :] == expected


def test_check_and_model_agree(folder: Path) -> None:
    """Where both call a window Faulty, the check is named, and the contributions are the model's."""
    values = _plant_values()[:200]
    values[40:45, 2] = -127
    (firing, _) = _scoring(folder).judge(_readings(values)).events
    assert (firing.detector, firing.reason.split(",")[0]) == ("limits", "temperature_2 reads -127 degC")
    assert firing.contributions is not None
    assert firing.score is not None
    assert firing.score > 0.5


def test_state_before_there_were_checks(folder: Path) -> None:
    """A group's state of a time before there were checks is loaded; the checks begin afresh."""
    first, second = _scoring(folder), _scoring(folder)
    first.judge(_readings(_plant_values(40)))
    states = first.dump("g")
    second.load("g", StageStates(states.windows, states.baseline, states.alerts))
    later = _readings(_plant_values(60)[40:], 40)
    np.testing.assert_array_equal(
        second.judge(later).judged_windows.scores, first.judge(later).judged_windows.scores
    )


def test_false_alarm_resets_the_checks(folder: Path) -> None:
    """After a false alarm the checks know nothing of the group."""
    scoring = _scoring(folder)
    scoring.judge(_readings(_plant_values(40)))
    fresh = _scoring(folder).dump("g").checks
    assert scoring.dump("g").checks != fresh
    scoring.reset_after_false_alarm("g", 200.0)
    assert scoring.dump("g").checks == fresh
