"""Permutation importance: how much worse the model judges when a part of its input is shuffled among windows.

The measure is the drop in F1 of Faulty. Accuracy, which the original notebook uses, hardly changes where
faults are rare, because calling all windows Normal is then nearly always right; F1 depends on missed faults
and on false alarms alike. After Breiman (2001), "Random Forests", and Fisher, Rudin and Dominici (2019), "All
Models are Wrong, but Many are Useful".

Limits: the four features of a window are correlated, and shuffling one alone makes windows that no plant
would send. A high value means that the model needs that part to distinguish Normal from Faulty, not that
faults happen there. A whole step can cost less than one of its values, because its features still agree with
each other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.model import Classifier
from monitor.bundle.scaler import Scaler
from monitor.core.arrays import FloatArray

__all__ = ["Importance", "compute_importance"]

_WindowSlice = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """Drops in F1 by shuffling: mean (`mean`) and standard deviation (`spread`) over the repeats."""

    f1: float
    """F1 of Faulty on the unshuffled windows."""
    mean: FloatArray
    """Each value of the window shuffled alone: (step, feature)."""
    spread: FloatArray
    """(step, feature)."""
    feature_mean: FloatArray
    """Each feature shuffled with its steps kept together: (feature,)."""
    feature_spread: FloatArray
    """(feature,)."""
    step_mean: FloatArray
    """Each step shuffled with its features kept together: (step,)."""
    step_spread: FloatArray
    """(step,)."""
    windows: int
    """Number of windows that were judged."""
    faulty: int
    """Number of these that are Faulty."""
    repeats: int
    seed: int


def window_slices(steps: int, features: int) -> list[_WindowSlice]:
    """Return the parts of a window that are shuffled: each value, then each feature, then each step."""
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
    """Shuffle each part of the windows among the windows, and measure the drop in F1.

    Parameters
    ----------
    scaler, classifier, threshold : the model as the monitor runs it.
    windows : raw values (window, step, feature).
    faulty : the truth (window,), with at least one Faulty window.
    repeats : number of shuffles of each part.
    seed : the same seed gives the same shuffles.
    max_windows : number of windows to judge, chosen at random; None for all.
    advance : called after each part, (steps + 1) x (features + 1) - 1 times.

    Raises
    ------
    ValueError : no window is Faulty, or the model finds none of them: F1 is 0 then and cannot drop.
    """
    from sklearn import metrics  # noqa: PLC0415 - most commands measure nothing

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
    """Return a copy in which this part of each window is that of another window, all its values together."""
    copy = scaled.copy()
    copy[:, *window_slice] = scaled[rng.permutation(len(scaled))][:, *window_slice]
    return copy
