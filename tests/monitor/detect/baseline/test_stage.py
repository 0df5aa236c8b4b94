from typing import Any

import numpy as np
import pytest

from monitor.bundle.model_input import DeviationTransform
from monitor.core.arrays import FloatArray
from monitor.detect.baseline import BaselineSpec, BaselineStage

NAMES = ("temperature_1", "humidity_1", "temperature_2", "humidity_2")
BASELINE_SPEC = BaselineSpec(floors=(0.09, 0.6, 0.09, 0.6))
STEPS = 3
HISTORY_READINGS = 99  # readings
FAULT_READINGS = 5000  # readings: longer than any memory


def _stage(names: tuple[str, ...] = NAMES, floors: tuple[float, ...] = BASELINE_SPEC.floors) -> BaselineStage:
    return BaselineStage(names, BaselineSpec(floors=floors))


def _plant_values(readings: int, seed: int = 0) -> FloatArray:
    """Return two motes side by side on a day that warms up: (reading, feature)."""
    rng = np.random.default_rng(seed)
    warmth = 5 * np.sin(np.arange(readings) / 1500)
    common = np.column_stack([20 + warmth, 60 - 2.5 * warmth] * 2)
    sensor_offsets = np.array([0.2, -1.5, -0.3, 1.0])  # that each sensor is always off by
    return common + sensor_offsets + rng.normal(0, [0.02, 0.1, 0.02, 0.1], (readings, 4))


def _windows(values: FloatArray) -> FloatArray:
    """Cut readings (reading, feature) into windows (window, step, feature)."""
    view = np.lib.stride_tricks.sliding_window_view(values, STEPS, axis=0)
    return view.transpose(0, 2, 1)


def _deviations(values: FloatArray, names: tuple[str, ...] = NAMES, floor: float | None = None) -> FloatArray:
    """Return how far each reading strays, NaN where nothing can be said: (reading, feature)."""
    stage = _stage(names, BASELINE_SPEC.floors if floor is None else (floor,) * len(names))
    windows = _windows(values)
    baselines, ready = stage.push(["g"] * len(windows), windows)
    deviations = np.full(values.shape, np.nan)
    deviations[STEPS - 1 :][ready] = DeviationTransform(names).transform(windows[ready], baselines[ready])[
        :, -1
    ]
    return np.abs(deviations)


def test_tenth_reading_is_judged() -> None:
    """The first nine readings of a group get no verdict, the tenth does."""
    ready = ~np.isnan(_deviations(_plant_values(50))).any(axis=1)
    assert ready.tolist() == [False] * 9 + [True] * 41


def test_deviations_do_not_depend_on_climate() -> None:
    """A healthy plant looks the same whatever its climate, and however its motes differ from each other."""
    here = _plant_values(600)
    there = here + np.array([300.0, -20.0, 304.0, -30.0])
    np.testing.assert_allclose(_deviations(there)[20:], _deviations(here)[20:], atol=0.01)
    assert np.nanmax(_deviations(here)) < 2


@pytest.mark.parametrize("sizes", [[1], [2, 1, 40], [200, 3]])
def test_batches_change_nothing(sizes: list[int]) -> None:
    """What a batch holds, one reading of each group or hundreds of one, doesn't change a bit of it."""
    streams = {
        "a": _windows(_plant_values(400, 1)),
        "b": _windows(_plant_values(300, 2)),
        "c": _windows(_plant_values(150, 3)),
    }
    whole = {name: _stage().push([name] * len(stream), stream)[0] for name, stream in streams.items()}
    stage, found = _stage(), {name: [] for name in streams}  # type: ignore[var-annotated]
    rng = np.random.default_rng(0)
    while any(len(found[name]) < len(stream) for name, stream in streams.items()):
        batch = [
            (name, number)
            for name, stream in streams.items()
            for number in range(len(found[name]), min(len(found[name]) + int(rng.choice(sizes)), len(stream)))
        ]
        names = [name for name, _ in batch]
        normals, _ = stage.push(names, np.array([streams[name][number] for name, number in batch]))
        for name, normal in zip(names, normals, strict=True):
            found[name].append(normal)
    for name, normals in whole.items():
        ready = len(normals) - 7  # the seven before have no normal
        np.testing.assert_array_equal(np.array(found[name])[-ready:], normals[-ready:])


def test_groups_mix_in_a_batch() -> None:
    """A batch may hold its groups' windows in any order."""
    one, other = _windows(_plant_values(300, 1)), _windows(_plant_values(300, 2))
    mixed = _stage().push(["a", "b"] * len(one), np.stack([one, other], axis=1).reshape(-1, STEPS, 4))[0]
    apart = _stage()
    np.testing.assert_array_equal(mixed[0::2][7:], apart.push(["a"] * len(one), one)[0][7:])
    np.testing.assert_array_equal(mixed[1::2][7:], apart.push(["b"] * len(other), other)[0][7:])


@pytest.mark.parametrize("moment", [1, 5, 7, 9, 16, 40, 130, 250])
def test_moved_group_continues(moment: int) -> None:
    """A group that moves to another instance in mid-stream goes on as if it hadn't."""
    windows = _windows(_plant_values(400))
    here, there = _stage(), _stage()
    names = ["g"] * len(windows)
    here.push(names[:moment], windows[:moment])
    there.load("g", here.dump("g"))
    ours = here.push(names[moment:], windows[moment:])
    theirs = there.push(names[moment:], windows[moment:])
    np.testing.assert_array_equal(ours[1], theirs[1])
    np.testing.assert_array_equal(ours[0][ours[1]], theirs[0][theirs[1]])
    assert here.dump("g") == there.dump("g")


def test_forget() -> None:
    """A group that was dropped begins anew, and others don't notice."""
    stage = _stage()
    fresh = stage.dump("g")
    windows = _windows(_plant_values(200))
    for name in ("g", "h"):
        stage.push([name] * len(windows), windows)
    other = stage.dump("h")
    stage.forget("g")
    assert stage.groups() == ["h"]
    assert (stage.dump("g"), stage.dump("h")) == (fresh, other)
    assert not stage.push(["g"], windows[:1])[1].any()


def test_dump_is_small() -> None:
    """What is kept of a group is less than 220 bytes: a commit writes it, and memory holds it."""
    assert len(_stage().dump("g")) < 220


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\1", "1 bytes"),
        (_stage().dump("g")[:-1], "211 bytes, expected 212"),
        (bytes([9, 0]) + _stage().dump("g")[2:], "version 9"),
        (_stage(NAMES[:2], (1, 1)).dump("g"), "2 x 11 values; expected version 2 with 4 x 11"),
    ],
)
def test_load_refuses(value: bytes, message: str) -> None:
    """A damaged value, or one of another version or shape, is refused with the reason."""
    with pytest.raises(ValueError, match=message):
        _stage().load("g", value)


FAULTS: dict[str, Any] = {
    "offset": lambda true: true + 0.8,
    "gain": lambda true: true * 1.08,
    "stuck": lambda true: np.full(len(true), true.max() + 0.8),
    "loss": lambda true: np.zeros(len(true)),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_lasting_fault(kind: str) -> None:
    """A fault isn't learnt however long it lasts, and once it ends the sensor is what it was before it."""
    values = _plant_values(HISTORY_READINGS + FAULT_READINGS + 400)
    begin, end = HISTORY_READINGS + 50, HISTORY_READINGS + 50 + FAULT_READINGS
    values[begin:end, 2] = FAULTS[kind](values[begin:end, 2])
    deviations = _deviations(values)[:, 2]
    assert deviations[begin:end].min() > 2.5
    assert deviations[end:].max() < 2
    assert np.nanmax(deviations[:begin]) < 2


def test_lasting_fault_of_a_mote() -> None:
    """Nor is a fault of a whole mote, temperature and humidity."""
    values = _plant_values(HISTORY_READINGS + FAULT_READINGS + 400)
    begin, end = HISTORY_READINGS + 50, HISTORY_READINGS + 50 + FAULT_READINGS
    values[begin:end, :2] = 0
    deviations = _deviations(values)
    assert deviations[begin:end].min() > 10
    assert deviations[end:].max() < 2


@pytest.mark.parametrize("begin", [18, 22, 27, 31, 60])
def test_lasting_fault_of_a_new_group(begin: int) -> None:
    """Nor is one that comes among a group's first readings, as soon as two blocks told what it was before."""
    values = _plant_values(begin + FAULT_READINGS + 400)
    end = begin + FAULT_READINGS
    values[begin:end, 0] += 8
    deviations = _deviations(values)[:, 0]
    assert deviations[begin:end].min() > 2.5
    assert deviations[end:].max() < 2


def test_lasting_fault_while_doors_open() -> None:
    """Nor does the plant teach it by moving as far as the fault goes, time and again."""
    values = _plant_values(HISTORY_READINGS + FAULT_READINGS + 400)
    begin, end = HISTORY_READINGS + 50, HISTORY_READINGS + 50 + FAULT_READINGS
    values[:, [0, 2]] += 4 * np.exp(-(np.arange(len(values)) % 200) / 40)[:, None]
    values[begin:end, 0] += 1
    deviations = _deviations(values)[:, 0]
    assert np.mean(deviations[begin:end] > 2.5) > 0.8
    assert deviations[end + 30 :].max() < 2


@pytest.mark.parametrize("sensor", [0, 2])
def test_expected_value_of_a_faulty_sensor(sensor: int) -> None:
    """What is usual for a sensor at fault is what the other says, wherever the plant has gone meanwhile."""
    values = _plant_values(400)
    values[300:, [0, 2]] += np.linspace(0, 4, 100)[:, None]
    faulty = values.copy()
    faulty[-1, sensor] -= 2
    stage = _stage()
    baselines, _ = stage.push(["g"] * 398, _windows(faulty))
    expected = stage.expected(faulty[-3:], baselines[-1])
    np.testing.assert_allclose(expected[:, [0, 2]], values[-3:, [0, 2]], atol=0.2)


@pytest.mark.parametrize("step", [3.0, -12.0, 60.0])
def test_plant_that_moves(step: float) -> None:
    """When both sensors of a quantity move together, at once and far, nothing strays, then or later."""
    values = _plant_values(600)
    values[300:, [0, 2]] += step
    assert np.nanmax(_deviations(values)) < 2


def test_slow_divergence_is_followed() -> None:
    """Sensors that part slowly, as when the sun comes round to one, are followed to where they go."""
    values = _plant_values(2000)
    values[:, 0] += np.interp(np.arange(2000), [300, 1300], [0, 3])
    assert _deviations(values)[1600:].max() < 2


def test_return_from_slow_divergence() -> None:
    """A sensor that parts slowly, is followed for a while and jumps back is soon what it was before."""
    values = _plant_values(800)
    values[300:390, 0] += np.linspace(0.1, 1.5, 90)
    assert _deviations(values)[470:].max() < 2


@pytest.mark.parametrize("rise", [0, 3])
def test_faults_from_the_start(rise: float) -> None:
    """A fault in a group's first readings is outvoted once most blocks are healthy, and then has no say."""
    values = _plant_values(400)
    values += np.linspace(0, rise, 400)[:, None]
    values[:20, 0] += 5
    assert _deviations(values)[60:].max() < 2


def test_level_is_never_between_blocks() -> None:
    """Where half of a new group's blocks are faulty, its level is that of the ones or of the others."""
    values = _plant_values(100)
    values[:18, 0] += 50
    normals, ready = _stage().push(["g"] * 98, _windows(values))
    deviations = normals[ready, 0, 0] - 0.25  # so far its sensors always are
    assert ((np.abs(deviations) < 0.5) | (np.abs(deviations - 25) < 0.5)).all()


def test_noisy_sensors_get_a_larger_unit() -> None:
    """Sensors that scatter ten times as much stray hardly farther in their own units."""
    rng = np.random.default_rng(1)
    values = _plant_values(1500) + rng.normal(0, 0.5, (1500, 4)) * [1, 0, 1, 0]
    deviations = _deviations(values)[:, 0]
    assert np.quantile(deviations[200:], 0.99) < 3
    assert np.nanquantile(deviations[:100], 0.99) < 3


def test_coarse_resolution_gets_a_larger_unit() -> None:
    """A sensor that reports in steps of half a degree doesn't stray by reporting the next step."""
    values = np.round(_plant_values(3000) * 2) / 2
    assert np.nanmax(_deviations(values)[:, [0, 2]]) < 4


def test_three_sensors_of_a_quantity() -> None:
    """One of three sensors that leaves the other two strays, and they don't."""
    rng = np.random.default_rng(0)
    values = 20 + np.sin(np.arange(800) / 300)[:, None] + rng.normal(0, 0.02, (800, 3))
    values[300:, 1] += 2
    deviations = _deviations(values, ("t_1", "t_2", "t_3"), 0.09)
    assert deviations[300:, 1].min() > 10
    assert deviations[300:, [0, 2]].max() < 2


def test_single_sensor_of_a_quantity() -> None:
    """A sensor without another beside it strays at once, and is followed within the memory."""
    rng = np.random.default_rng(0)
    values = rng.normal(20, 0.02, (600, 1))
    values[300:] += 2
    deviations = _deviations(values, ("pressure",), 0.09)
    assert deviations[300] > 10
    assert deviations[300 + HISTORY_READINGS :].max() < 2


def test_no_windows() -> None:
    """A batch without windows has no normals."""
    normals, ready = _stage().push([], np.empty((0, STEPS, 4)))
    assert (normals.shape, ready.shape) == ((0, 3, 4), (0,))
