"""Permutation importance: how much worse the model judges when a part of its input is shuffled.

The measure is the drop in F1 of Faulty. Accuracy, which the notebook takes, hardly moves where faults are
rare, for calling all Normal is then nearly always right; F1 asks for the faults found and for the false
alarms alike. After Breiman (2001), "Random Forests", and Fisher, Rudin and Dominici (2019), "All Models are
Wrong, but Many are Useful".

What it doesn't say: the four features of a window move together, and shuffling one alone makes windows that
no plant would send. A high value means that the model leans on that part to tell Normal from Faulty, not
that the part is where faults happen. A whole step may well cost less than one of its values: its features
still agree with each other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from monitor.bundle.model import Classifier
from monitor.bundle.scaler import Scaler
from monitor.core.arrays import FloatArray

__all__ = ["Importance", "compute_importance"]

_WindowSlice = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """Drops in F1 by shuffling, over repeats: their mean, and their standard deviation as the spread."""

    f1: float
    """Of Faulty, on the windows as they are."""
    mean: FloatArray
    """One value of the window at a time: (step, feature)."""
    spread: FloatArray
    """(step, feature)."""
    feature_mean: FloatArray
    """A whole feature, its steps kept together: (feature,)."""
    feature_spread: FloatArray
    """(feature,)."""
    step_mean: FloatArray
    """A whole step, its features kept together: (step,)."""
    step_spread: FloatArray
    """(step,)."""
    windows: int
    """How many were judged."""
    faulty: int
    """How many of those are Faulty."""
    repeats: int
    seed: int


def window_slices(steps: int, features: int) -> list[_WindowSlice]:
    """Return what is shuffled, in this order: each value, each whole feature, each whole step."""
    all_of_axis = slice(None)
    each_step = [slice(step, step + 1) for step in range(steps)]
    each_feature = [slice(feature, feature + 1) for feature in range(features)]
    values = [(step, feature) for step in each_step for feature in each_feature]
    return [
        *values,
        *((all_of_axis, feature) for feature in each_feature),
        *((step, all_of_axis) for step in each_step),
    ]


def compute_importance(
    scaler: Scaler,
    classifier: Classifier,
    threshold: float,
    windows: FloatArray,
    faulty: NDArray[np.bool_],
    *,
    repeats: int = 5,
    seed: int = 0,
    max_windows: int | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Importance:
    """Shuffle each part of the windows among them, and measure what that costs in F1.

    Parameters
    ----------
    scaler, classifier, threshold : what judges, as the monitor runs it.
    windows : raw values (window, step, feature).
    faulty : the truth (window,), with at least one Faulty window.
    repeats : shuffles of each part.
    seed : the same seed gives the same shuffles.
    max_windows : judge a random choice of so many windows; None for all.
    advance : called after each part, (steps + 1) x (features + 1) - 1 times.

    Raises
    ------
    ValueError : no window is Faulty, or the model finds none: then there is no F1 to lose.
    """
    rng = np.random.default_rng(seed)
    if max_windows is not None and len(windows) > max_windows:
        chosen = np.sort(rng.choice(len(windows), max_windows, replace=False))
        windows, faulty = windows[chosen], faulty[chosen]
    scaled = scaler.transform(windows)  # (window, step, feature)

    def f1(permuted: NDArray[np.float32]) -> float:
        called_faulty = classifier.score(permuted) > threshold
        return float(metrics.f1_score(faulty, called_faulty, zero_division=0.0))

    if not faulty.any():
        raise ValueError("no window is Faulty, expected some to find")
    baseline_f1 = f1(scaled)
    if not baseline_f1:
        raise ValueError("the model finds none of the Faulty windows, so shuffling can't cost it anything")
    _, steps, features = scaled.shape
    drops = []  # one array (repeat,) for each part
    for window_slice in window_slices(steps, features):
        drops.append([baseline_f1 - f1(_shuffle_slice(scaled, window_slice, rng)) for _ in range(repeats)])
        advance()
    mean, spread = np.mean(drops, axis=1), np.std(drops, axis=1)  # (part,)
    value_end, feature_end = steps * features, steps * features + features
    return Importance(
        f1=baseline_f1,
        mean=mean[:value_end].reshape(steps, features),
        spread=spread[:value_end].reshape(steps, features),
        feature_mean=mean[value_end:feature_end],
        feature_spread=spread[value_end:feature_end],
        step_mean=mean[feature_end:],
        step_spread=spread[feature_end:],
        windows=len(scaled),
        faulty=int(faulty.sum()),
        repeats=repeats,
        seed=seed,
    )


def _shuffle_slice(
    scaled: NDArray[np.float32], window_slice: _WindowSlice, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a copy in which a part of each window comes from another window, in one piece."""
    copy = scaled.copy()
    copy[:, *window_slice] = scaled[rng.permutation(len(scaled))][:, *window_slice]
    return copy
