"""Readings of two pairs of sensors, and the check stage to feed them to."""

from collections.abc import Sequence

import numpy as np

from monitor.bundle.manifest import BaselineSpec, Feature
from monitor.core.arrays import FloatArray
from monitor.core.rules import DEFAULT_CHECK_RULES, CheckRules
from monitor.detect.checks import CheckStage, Findings

__all__ = [
    "DAY_S",
    "FEATURES",
    "GROUP",
    "START",
    "detectors",
    "make_stage",
    "make_windows",
    "push",
    "quiet_pairs",
    "reasons",
]

FEATURES = (
    Feature("temperature_1", "degC"),
    Feature("humidity_1", "%RH"),
    Feature("temperature_2", "degC"),
    Feature("humidity_2", "%RH"),
)
GROUP = "line1/station7"
DAY_S = 86_400
START = 20_000.0 * DAY_S
"""Midnight of some day, seconds since the Unix epoch."""
_STEPS = 3


def make_stage(
    rules: CheckRules = DEFAULT_CHECK_RULES,
    features: Sequence[Feature] = FEATURES,
    baseline: BaselineSpec | None = None,
) -> CheckStage:
    """Return a stage without groups."""
    return CheckStage(features, baseline, rules)


def quiet_pairs(period: float, days: float, *, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Return event times (reading,) and values (reading, feature) of healthy sensors.

    They move by 6 degC and 18 %RH a day.

    Parameters
    ----------
    period : seconds between two readings.
    """
    ts = START + np.arange(0, days * DAY_S, period)
    rng = np.random.default_rng(seed)
    warmth = 3 * np.sin(2 * np.pi * ts / DAY_S)
    common = np.stack([20 + warmth, 50 - 3 * warmth] * 2, axis=1)
    noise = rng.normal(0, [0.05, 0.2, 0.05, 0.2], common.shape)
    return ts, np.round(common + np.array([0.1, -0.5, -0.1, 0.5]) + noise, 2)


def make_windows(values: FloatArray) -> FloatArray:
    """Cut readings (reading, feature) into windows (window, step, feature)."""
    return np.lib.stride_tricks.sliding_window_view(values, _STEPS, axis=0).transpose(0, 2, 1)


def push(stage: CheckStage, ts: FloatArray, values: FloatArray) -> Findings:
    """Feed the readings of one group to a stage, in one batch."""
    windows = make_windows(values)
    return stage.push([GROUP] * len(windows), ts[_STEPS - 1 :], windows)


def detectors(ts: FloatArray, values: FloatArray, rules: CheckRules = DEFAULT_CHECK_RULES) -> FloatArray:
    """Return what a new stage finds in each window of one group, as codes of `Detector`: (window,)."""
    return push(make_stage(rules), ts, values).detectors


def reasons(stage: CheckStage, findings: Findings, values: FloatArray) -> list[str]:
    """Return in words what was found in the windows of one group in which something was found."""
    windows = make_windows(values)
    return [
        stage.describe(findings, index, windows[index]) for index in findings.detectors.nonzero()[0].tolist()
    ]
