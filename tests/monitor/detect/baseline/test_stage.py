from typing import Any

import numpy as np
import pytest

from monitor.bundle.manifest import BASELINE_VERSION
from monitor.bundle.model_input import DeviationTransform
from monitor.core.arrays import FloatArray
from monitor.core.quantities import quantity_name
from monitor.detect.baseline import BaselineSpec, BaselineStage
from monitor.detect.baseline.state import BaselineTable
from tests.monitor.detect.baseline.event_times import window_ts

NAMES = ("temperature_1", "humidity_1", "temperature_2", "humidity_2")
BASELINE_SPEC = BaselineSpec(floors=(0.09, 0.6, 0.09, 0.6))
STEPS = 3
HISTORY_READINGS = 99
FAULT_READINGS = 5000  # far more than the history holds


def _stage(names: tuple[str, ...] = NAMES, floors: tuple[float, ...] = BASELINE_SPEC.floors) -> BaselineStage:
    return BaselineStage(list(map(quantity_name, names)), BaselineSpec(floors=floors))


def _plant_values(readings: int, seed: int = 0) -> FloatArray:
    """Return readings of two neighbouring motes on a day that gets warmer: (reading, feature)."""
    rng = np.random.default_rng(seed)
    warmth = 5 * np.sin(np.arange(readings) / 1500)
    common = np.column_stack([20 + warmth, 60 - 2.5 * warmth] * 2)
    sensor_offsets = np.array([0.2, -1.5, -0.3, 1.0])  # constant error of each sensor
    return common + sensor_offsets + rng.normal(0, [0.02, 0.1, 0.02, 0.1], (readings, 4))


def _windows(values: FloatArray) -> FloatArray:
    """Cut readings (reading, feature) into windows (window, step, feature)."""
    view = np.lib.stride_tricks.sliding_window_view(values, STEPS, axis=0)
    return view.transpose(0, 2, 1)


def _deviations(values: FloatArray, names: tuple[str, ...] = NAMES, floor: float | None = None) -> FloatArray:
    """Return the absolute deviations in units of the baseline, NaN without baseline: (reading, feature)."""
    stage = _stage(names, BASELINE_SPEC.floors if floor is None else (floor,) * len(names))
    windows = _windows(values)
    baselines, ready = stage.push(["g"] * len(windows), windows, window_ts(len(windows)))
    model_inputs = DeviationTransform(list(map(quantity_name, names))).transform(
        windows[ready], baselines[ready]
    )
    deviations = np.full(values.shape, np.nan)
    deviations[STEPS - 1 :][ready] = model_inputs[:, -1]
    return np.abs(deviations)


def test_tenth_reading_has_a_baseline() -> None:
    """The first nine readings of a group have no baseline, the tenth has."""
    ready = ~np.isnan(_deviations(_plant_values(50))).any(axis=1)
    assert ready.tolist() == [False] * 9 + [True] * 41


def test_deviations_do_not_depend_on_climate() -> None:
    """The deviations of a healthy plant do not depend on its climate or on constant sensor offsets."""
    values = _plant_values(600)
    other_climate = values + np.array([300.0, -20.0, 304.0, -30.0])
    np.testing.assert_allclose(_deviations(other_climate)[20:], _deviations(values)[20:], atol=0.01)
    assert np.nanmax(_deviations(values)) < 2


@pytest.mark.parametrize("sizes", [[1], [2, 1, 40], [200, 3]])
def test_batches_make_no_difference(sizes: list[int]) -> None:
    """Baselines are the same to the bit for batches of one reading per group and of hundreds."""
    periods = {"a": 5.0, "b": 600.0, "c": 5.0}
    streams = {
        "a": _windows(_plant_values(400, 1)),
        "b": _windows(_plant_values(300, 2)),
        "c": _windows(_plant_values(150, 3)),
    }
    expected = {
        name: _stage().push([name] * len(stream), stream, window_ts(len(stream), periods[name]))[0]
        for name, stream in streams.items()
    }
    stage, baselines = _stage(), {name: [] for name in streams}  # type: ignore[var-annotated]
    rng = np.random.default_rng(0)
    while any(len(baselines[name]) < len(stream) for name, stream in streams.items()):
        batch = []  # (group, window number)
        for name, stream in streams.items():
            begin = len(baselines[name])
            batch += [
                (name, number) for number in range(begin, min(begin + int(rng.choice(sizes)), len(stream)))
            ]
        names = [name for name, _ in batch]
        batch_baselines, _ = stage.push(
            names,
            np.array([streams[name][number] for name, number in batch]),
            np.concatenate([window_ts(1, periods[name], number) for name, number in batch]),
        )
        for name, baseline in zip(names, batch_baselines, strict=True):
            baselines[name].append(baseline)
    for name in streams:  # the first seven windows have no baseline
        np.testing.assert_array_equal(np.array(baselines[name])[7:], expected[name][7:])


def test_groups_mix_in_a_batch() -> None:
    """A batch may have windows of several groups in any order."""
    first, second = _windows(_plant_values(300, 1)), _windows(_plant_values(300, 2))
    mixed_windows = np.stack([first, second], axis=1).reshape(-1, STEPS, 4)
    mixed, _ = _stage().push(
        ["a", "b"] * len(first), mixed_windows, np.repeat(window_ts(len(first)), 2, axis=0)
    )
    separate = _stage()
    np.testing.assert_array_equal(
        mixed[0::2][7:], separate.push(["a"] * len(first), first, window_ts(len(first)))[0][7:]
    )
    np.testing.assert_array_equal(
        mixed[1::2][7:], separate.push(["b"] * len(second), second, window_ts(len(second)))[0][7:]
    )


@pytest.mark.parametrize("cut", [1, 5, 7, 9, 16, 40, 130, 250])
def test_moved_group_continues(cut: int) -> None:
    """A group that moves to another stage in mid-stream gets the same baselines as if it had stayed."""
    windows = _windows(_plant_values(400))
    ts = window_ts(len(windows))
    original, copy = _stage(), _stage()
    names = ["g"] * len(windows)
    original.push(names[:cut], windows[:cut], ts[:cut])
    copy.load("g", original.dump("g"))
    baselines, ready = original.push(names[cut:], windows[cut:], ts[cut:])
    copied_baselines, copied_ready = copy.push(names[cut:], windows[cut:], ts[cut:])
    np.testing.assert_array_equal(ready, copied_ready)
    np.testing.assert_array_equal(baselines[ready], copied_baselines[ready])
    assert original.dump("g") == copy.dump("g")


def test_forget() -> None:
    """A removed group starts without baseline; other groups are not affected."""
    stage = _stage()
    new_state = stage.dump("g")
    windows = _windows(_plant_values(200))
    for name in ("g", "h"):
        stage.push([name] * len(windows), windows, window_ts(len(windows)))
    other_state = stage.dump("h")
    stage.forget("g")
    assert stage.groups() == ["h"]
    assert (stage.dump("g"), stage.dump("h")) == (new_state, other_state)
    assert not stage.push(["g"], windows[:1], window_ts(1))[1].any()


def test_dump_is_small() -> None:
    """A group's state takes less than 340 bytes: each commit writes it, and it stays in memory."""
    assert len(_stage().dump("g")) < 340


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\1", "1 bytes"),
        (_stage().dump("g")[:-1], "311 bytes, expected 312"),
        (bytes([9, 0]) + _stage().dump("g")[2:], "version 9"),
        (_stage(NAMES[:2], (1, 1)).dump("g"), "2 x 11 values; expected version 3 with 4 x 11"),
    ],
)
def test_load_rejects_invalid_state(value: bytes, message: str) -> None:
    """A damaged value, or a value of another version or shape, is rejected with the reason."""
    with pytest.raises(ValueError, match=message):
        _stage().load("g", value)


FAULTS: dict[str, Any] = {
    "offset": lambda values: values + 0.8,
    "gain": lambda values: values * 1.08,
    "stuck": lambda values: np.full(len(values), values.max() + 0.8),
    "loss": lambda values: np.zeros(len(values)),
}


def _tamper(state: bytes, field: str, value: float) -> bytes:
    """Return a group's state with another value in a field."""
    table = BaselineTable(BASELINE_VERSION, len(NAMES), 2)
    table.load("g", state)
    table.records[field][table.row("g")] = value
    return table.dump("g")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("baseline", np.nan),
        ("baseline", 1e30),
        ("baseline", 0.0),
        ("deviations", np.inf),
        ("resolution", 255),
    ],
)
def test_load_rejects_impossible_numbers(field: str, value: float) -> None:
    """A tampered state is refused whose numbers would give a score that is no number."""
    stage = _stage()
    windows = _windows(_plant_values(60))
    stage.push(["g"] * len(windows), windows, window_ts(len(windows)))
    state = _tamper(stage.dump("g"), field, value)
    with pytest.raises(ValueError, match="baseline state of 'g' has numbers that no readings lead to"):
        _stage().load("g", state)


def test_number_of_windows_without_a_block() -> None:
    """A tampered state that counts windows but has no block has no baseline."""
    stage = _stage()
    windows = _windows(_plant_values(60))
    stage.push(["g"], windows[:1], window_ts(1))
    state = _tamper(stage.dump("g"), "windows_seen", 1000)
    for count in (1, 30):  # one window, and several of one group
        other = _stage()
        other.load("g", state)
        _, ready = other.push(["g"] * count, windows[:count], window_ts(count))
        assert not ready[0]
    other.load("g", state)
    _, ready = other.push(["g", "h"], windows[:2], window_ts(2))
    assert not ready.any()


@pytest.mark.parametrize("kind", FAULTS)
def test_lasting_fault(kind: str) -> None:
    """A fault is not learnt however long it lasts, and after its end the deviations are as before it."""
    values = _plant_values(HISTORY_READINGS + FAULT_READINGS + 400)
    begin, end = HISTORY_READINGS + 50, HISTORY_READINGS + 50 + FAULT_READINGS
    values[begin:end, 2] = FAULTS[kind](values[begin:end, 2])
    deviations = _deviations(values)[:, 2]
    assert deviations[begin:end].min() > 2.5
    assert deviations[end:].max() < 2
    assert np.nanmax(deviations[:begin]) < 2


def test_lasting_fault_of_a_mote() -> None:
    """A fault of a whole mote, temperature and humidity, is not learnt."""
    values = _plant_values(HISTORY_READINGS + FAULT_READINGS + 400)
    begin, end = HISTORY_READINGS + 50, HISTORY_READINGS + 50 + FAULT_READINGS
    values[begin:end, :2] = 0
    deviations = _deviations(values)
    assert deviations[begin:end].min() > 10
    assert deviations[end:].max() < 2


@pytest.mark.parametrize("begin", [18, 22, 27, 31, 60])
def test_lasting_fault_of_a_new_group(begin: int) -> None:
    """A fault among a group's first readings is not learnt, if two blocks were learnt before it."""
    values = _plant_values(begin + FAULT_READINGS + 400)
    end = begin + FAULT_READINGS
    values[begin:end, 0] += 8
    deviations = _deviations(values)[:, 0]
    assert deviations[begin:end].min() > 2.5
    assert deviations[end:].max() < 2


def test_lasting_fault_while_doors_open() -> None:
    """A fault is not learnt while the plant repeatedly changes by more than the fault's size."""
    values = _plant_values(HISTORY_READINGS + FAULT_READINGS + 400)
    begin, end = HISTORY_READINGS + 50, HISTORY_READINGS + 50 + FAULT_READINGS
    values[:, [0, 2]] += 4 * np.exp(-(np.arange(len(values)) % 200) / 40)[:, None]
    values[begin:end, 0] += 1
    deviations = _deviations(values)[:, 0]
    assert np.mean(deviations[begin:end] > 2.5) > 0.8
    assert deviations[end + 30 :].max() < 2


@pytest.mark.parametrize("sensor", [0, 2])
def test_expected_value_of_a_faulty_sensor(sensor: int) -> None:
    """The expected value of a faulty sensor follows its neighbour while the plant changes."""
    values = _plant_values(400)
    values[300:, [0, 2]] += np.linspace(0, 4, 100)[:, None]
    faulty = values.copy()
    faulty[-1, sensor] -= 2
    stage = _stage()
    baselines, _ = stage.push(["g"] * 398, _windows(faulty), window_ts(398))
    expected = stage.expected(faulty[-3:], baselines[-1])
    np.testing.assert_allclose(expected[:, [0, 2]], values[-3:, [0, 2]], atol=0.2)


@pytest.mark.parametrize("step", [3.0, -12.0, 60.0])
def test_common_step_is_no_deviation(step: float) -> None:
    """A step that both sensors of a quantity make together causes no deviation, then or later."""
    values = _plant_values(600)
    values[300:, [0, 2]] += step
    assert np.nanmax(_deviations(values)) < 2


def test_slow_divergence_is_followed() -> None:
    """The baseline follows sensors that diverge slowly, as when the sun comes round to one of them."""
    values = _plant_values(2000)
    values[:, 0] += np.interp(np.arange(2000), [300, 1300], [0, 3])
    assert _deviations(values)[1600:].max() < 2


def test_return_from_slow_divergence() -> None:
    """A sensor that diverged slowly and jumps back soon has no deviation any more."""
    values = _plant_values(800)
    values[300:390, 0] += np.linspace(0.1, 1.5, 90)
    assert _deviations(values)[470:].max() < 2


@pytest.mark.parametrize("rise", [0, 3])
def test_fault_from_the_start(rise: float) -> None:
    """A fault in a group's first readings has no effect any more once most blocks are healthy."""
    values = _plant_values(400)
    values += np.linspace(0, rise, 400)[:, None]
    values[:20, 0] += 5
    assert _deviations(values)[60:].max() < 2


def test_level_is_never_between_blocks() -> None:
    """If half of a new group's blocks are faulty, its level is that of healthy or of faulty blocks."""
    values = _plant_values(100)
    values[:18, 0] += 50
    baselines, ready = _stage().push(["g"] * 98, _windows(values), window_ts(98))
    level_errors = baselines[ready, 0, 0] - 0.25  # the healthy sensors' deviation is 0.25
    assert ((np.abs(level_errors) < 0.5) | (np.abs(level_errors - 25) < 0.5)).all()


def test_noisy_sensors_get_a_larger_unit() -> None:
    """Sensors with much more noise have hardly larger deviations in units of their baseline."""
    rng = np.random.default_rng(1)
    values = _plant_values(1500) + rng.normal(0, 0.5, (1500, 4)) * [1, 0, 1, 0]
    deviations = _deviations(values)[:, 0]
    assert np.quantile(deviations[200:], 0.99) < 3
    assert np.nanquantile(deviations[:100], 0.99) < 3


def test_coarse_resolution_gets_a_larger_unit() -> None:
    """A sensor that reports in steps of half a degree has no large deviation at the next step."""
    values = np.round(_plant_values(3000) * 2) / 2
    assert np.nanmax(_deviations(values)[:, [0, 2]]) < 4


def test_three_sensors_of_a_quantity() -> None:
    """If one of three sensors departs, it has a large deviation, and the other two do not."""
    rng = np.random.default_rng(0)
    values = 20 + np.sin(np.arange(800) / 300)[:, None] + rng.normal(0, 0.02, (800, 3))
    values[300:, 1] += 2
    deviations = _deviations(values, ("t_1", "t_2", "t_3"), 0.09)
    assert deviations[300:, 1].min() > 10
    assert deviations[300:, [0, 2]].max() < 2


def test_single_sensor_of_a_quantity() -> None:
    """A sensor without neighbours deviates at once after a step, and no more when the history is renewed."""
    rng = np.random.default_rng(0)
    values = rng.normal(20, 0.02, (600, 1))
    values[300:] += 2
    deviations = _deviations(values, ("pressure",), 0.09)
    assert deviations[300] > 10
    assert deviations[300 + HISTORY_READINGS :].max() < 2


def test_no_windows() -> None:
    """An empty batch gives empty arrays of the right shapes."""
    baselines, ready = _stage().push([], np.empty((0, STEPS, 4)), np.empty((0, STEPS)))
    assert (baselines.shape, ready.shape) == ((0, 3, 4), (0,))
