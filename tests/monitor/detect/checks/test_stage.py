from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.bundle.manifest import BaselineSpec, Feature
from monitor.core.arrays import FloatArray
from monitor.core.rules import CheckRules
from monitor.core.verdicts import Detector
from monitor.detect.checks import CheckStage
from tests.monitor.detect.checks.pairs import DAY_S, FEATURES, GROUP, make_stage, make_windows, quiet_pairs

_Window = tuple[str, float, FloatArray]


def _stream(period: float, days: float) -> list[_Window]:
    """Return windows of three groups in turn: of a flat sensor, of a drift, of impossible values."""
    windows: list[_Window] = []
    for number, name in enumerate(("a", "b", "c")):
        ts, values = quiet_pairs(period, days, seed=number)
        if name == "a":
            values[ts > ts[0] + 2 * DAY_S, 0] = 21.37
            values[ts > ts[0] + 9 * DAY_S, 1] = 0.5
        elif name == "b":
            values[:, 1] += 1.5 * np.maximum(0, (ts - ts[0]) / DAY_S - 22)
        else:
            values[np.random.default_rng(9).random(len(ts)) < 0.2, 2] = -127
        windows += zip([name] * (len(ts) - 2), ts[2:].tolist(), make_windows(values), strict=True)
    return sorted(windows, key=lambda window: window[1])


STREAM = _stream(3600.0, 50)


def _push(stage: CheckStage, windows: Sequence[_Window]) -> list[tuple[int, str]]:
    """Return the detector and the reason of each window of a batch."""
    if not windows:
        return []
    groups, ts, values = zip(*windows, strict=True)
    findings = stage.push(groups, np.array(ts), np.stack(values))
    return [
        (int(code), stage.describe(findings, row, values[row]) if code else "")
        for row, code in enumerate(findings.detectors)
    ]


WHOLE = _push(make_stage(), STREAM)


def test_stream_has_everything() -> None:
    """The stream that the other tests use has windows of each kind."""
    assert {code for code, _ in WHOLE} == {
        Detector.NONE, Detector.LIMITS, Detector.FLAT, Detector.DRIFT,
    }  # fmt: skip


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
@settings(max_examples=8, deadline=None)
def test_batches_make_no_difference(cuts: list[int]) -> None:
    """The findings are the same however windows are split into batches."""
    stage, edges = make_stage(), sorted({0, *cuts, len(STREAM)})
    found: list[tuple[int, str]] = []
    for start, end in pairwise(edges):
        found += _push(stage, STREAM[start:end])
    assert found == WHOLE


@pytest.mark.parametrize("size", [1, 2, 3, 64])
def test_batch_size_makes_no_difference(size: int) -> None:
    """The findings are the same for batches of any size."""
    stage, windows = make_stage(), STREAM[:2000]
    found = [found for start in range(0, 2000, size) for found in _push(stage, windows[start : start + size])]
    assert found[:2000] == _push(make_stage(), windows)


@given(st.lists(st.integers(0, len(STREAM)), min_size=1, max_size=8))
@settings(max_examples=8, deadline=None)
def test_groups_move_between_stages(cuts: list[int]) -> None:
    """Groups that move to another instance in mid-stream are judged as if they had stayed."""
    stage, edges = make_stage(), sorted({0, *cuts, len(STREAM)})
    found: list[tuple[int, str]] = []
    for start, end in pairwise(edges):
        other = make_stage()
        for group in stage.groups():
            other.load(group, stage.dump(group))
        stage = other
        found += _push(stage, STREAM[start:end])
    assert found == WHOLE


def test_state_before_there_were_checks() -> None:
    """An empty state lets a group begin afresh."""
    stage = make_stage()
    _push(stage, STREAM[:100])
    stage.load("a", b"")
    assert sorted(stage.groups()) == ["b", "c"]


def test_damaged_state() -> None:
    """A damaged state is refused."""
    stage = make_stage()
    _push(stage, STREAM[:10])
    with pytest.raises(ValueError, match="checks state of 'a' has 20 bytes, expected"):
        stage.load("a", stage.dump("a")[:20])


def test_state_is_small() -> None:
    """What the checks keep of a group with two pairs takes less than 300 bytes."""
    assert len(make_stage().dump(GROUP)) < 300


def test_checks_are_turned_off() -> None:
    """Each check can be turned off for all groups, and for some."""
    assert {code for code, _ in _push(make_stage(CheckRules(limits=False)), STREAM)} == {0, 3, 4}
    assert {code for code, _ in _push(make_stage(CheckRules(flat=False, drift=False)), STREAM)} == {0, 2}
    rules = CheckRules(
        flat=False,
        overrides=(("a", {"flat": True}), *((group, {"drift": False, "limits": False}) for group in "bc")),
    )
    found = _push(make_stage(rules), STREAM)
    assert {(window[0], code) for window, (code, _) in zip(STREAM, found, strict=True)} == {
        ("a", 0), ("a", 3), ("b", 0), ("c", 0),
    }  # fmt: skip


def test_values_of_a_group_without_limits_count() -> None:
    """Where `limits` is off, no value is impossible."""
    stage = make_stage(CheckRules(limits=False))
    values = np.array([[-127.0, 50, 20, 50]] * 3)
    assert stage.push([GROUP], np.array([0.0]), make_windows(values)).is_true is None


def test_three_sensors_and_a_lone_one() -> None:
    """Of three sensors the flat one is found beside the mean of the others; a lone sensor is never flat."""
    features = [Feature(f"temperature_{number}", "degC") for number in (1, 2, 3)]
    stage = make_stage(features=[*features, Feature("pressure", "hPa")])
    ts, values = quiet_pairs(600.0, 3)
    values = np.stack([values[:, 0], values[:, 2], np.full(len(ts), 20.3), np.full(len(ts), 1013.25)], axis=1)
    windows = make_windows(values)
    findings = stage.push(["g"] * len(windows), ts[2:], windows)
    found = findings.detectors.nonzero()[0]
    assert len(found)
    assert stage.describe(findings, int(found[0]), windows[found[0]]).startswith(
        "temperature_3 has read 20.3 degC all the time since 2024-10-04T00:20:00.000Z, while temperature_1 "
        "and temperature_2 moved up and down"
    )


def test_deadband() -> None:
    """A sensor with a deadband isn't flat while its neighbour moves by little more than the deadband."""
    ts, values = quiet_pairs(600.0, 3)
    values[:, 3] = 50 + 2.5 * np.sin(2 * np.pi * ts / 20_000)
    values[:, 1] = 50.0
    windows = make_windows(values)
    for floor, expected in ((0.5, True), (1.0, False)):  # half a deadband of 2 %RH is 1 %RH
        stage = CheckStage(FEATURES, BaselineSpec(floors=(0.08, floor, 0.08, floor)), CheckRules())
        assert stage.push([GROUP] * len(windows), ts[2:], windows).detectors.any() == expected
