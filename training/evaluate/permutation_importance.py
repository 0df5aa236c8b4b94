"""Permutation importance: the drop in a metric when a slice of the input is shuffled among the windows.

A slice is a value (one feature at one step), a feature (at all steps) or a step (all features). The metric is
the F1 score of class Faulty. Accuracy, which the original notebook uses, hardly changes if faults are rare,
because the prediction Normal is then nearly always correct; F1 depends on both missed faults and false
alarms. After Breiman (2001), "Random Forests", and Fisher, Rudin and Dominici (2019), "All Models are Wrong,
but Many are Useful".

Limits: the features of a window are correlated, and shuffling only one of them makes windows that do not
occur in a plant. A high importance means that the model needs the slice to distinguish Normal from Faulty,
not that faults occur in it. The importance of a whole step can be lower than that of one of its values,
because the features of a shuffled step are still consistent with each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.model import Classifier
from monitor.bundle.scaler import Scaler
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.quantities import Quantities

__all__ = ["Importance", "compute_importance"]

_WindowSlice = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """Drop in the F1 score for each shuffled slice.

    The attributes with `mean` and `spread` in their name are the mean and the standard deviation over the
    repeats.
    """

    f1: float
    """F1 score of class Faulty on the unshuffled windows."""
    mean: FloatArray
    """Mean drop for each value of the window: (step, feature)."""
    spread: FloatArray
    """Standard deviation of the drop for each value of the window: (step, feature)."""
    feature_mean: FloatArray
    """Mean drop for each feature, shuffled with its steps kept together: (feature,)."""
    feature_spread: FloatArray
    """Standard deviation of the drop for each feature: (feature,)."""
    step_mean: FloatArray
    """Mean drop for each step, shuffled with its features kept together: (step,)."""
    step_spread: FloatArray
    """Standard deviation of the drop for each step: (step,)."""
    windows: int
    """Number of evaluated windows."""
    faulty: int
    """Number of evaluated windows that are Faulty."""
    repeats: int
    """Number of shuffles of each slice."""
    seed: int


def build_window_slices(steps: int, features: int) -> list[_WindowSlice]:
    """Return the slices of a window that are shuffled: all values, then all features, then all steps."""
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
    quantities: Sequence[str] = (),
    advance: Callable[[], None] = lambda: None,
) -> Importance:
    """Shuffle each slice of the input among the windows, and compute the drop in the F1 score.

    Parameters
    ----------
    scaler, classifier, threshold : the model as the monitor runs it.
    windows : raw values (window, step, feature).
    faulty : the true labels (window,), with at least one Faulty window.
    repeats : number of shuffles of each slice.
    seed : seed of the shuffles.
    max_windows : maximum number of windows to evaluate, drawn at random; None for all.
    quantities : the quantity of each feature (feature,), for a model that judges single sensors: it judges
        one of a pair, since both deviate equally, so both have the same importance.
    advance : called after each slice, (steps + 1) x (features + 1) - 1 times.

    Raises
    ------
    ValueError : no window is Faulty, or the model detects no Faulty window: F1 is 0 then and cannot drop.
    """
    from sklearn import metrics  # noqa: PLC0415 - most commands measure nothing

    rng = np.random.default_rng(seed)
    if max_windows is not None and len(windows) > max_windows:
        chosen = np.sort(rng.choice(len(windows), max_windows, replace=False))
        windows, faulty = windows[chosen], faulty[chosen]
    scaled = scaler.transform(windows)  # (window, step, feature)

    def f1(permuted: NDArray[np.float32]) -> float:
        predicted_faulty = classifier.score(permuted) > threshold
        return float(metrics.f1_score(faulty, predicted_faulty, zero_division=0.0))

    if not faulty.any():
        raise ValueError("no window is Faulty, expected some to find")
    baseline_f1 = f1(scaled)
    if not baseline_f1:
        raise ValueError("the model finds none of the Faulty windows, so shuffling can't cost it anything")
    _, steps, features = scaled.shape
    drops = []  # (slice, repeat)
    for window_slice in build_window_slices(steps, features):
        drops.append([baseline_f1 - f1(_shuffle_slice(scaled, window_slice, rng)) for _ in range(repeats)])
        advance()
    mean, spread = np.mean(drops, axis=1), np.std(drops, axis=1)  # (slice,)
    value_end, feature_end = steps * features, steps * features + features
    # The feature whose importance each feature has: (feature,).
    sources = _find_judged(quantities) if classifier.judges_sensors else np.arange(features)
    return Importance(
        f1=baseline_f1,
        mean=mean[:value_end].reshape(steps, features)[:, sources],
        spread=spread[:value_end].reshape(steps, features)[:, sources],
        feature_mean=mean[value_end:feature_end][sources],
        feature_spread=spread[value_end:feature_end][sources],
        step_mean=mean[feature_end:],
        step_spread=spread[feature_end:],
        windows=len(scaled),
        faulty=int(faulty.sum()),
        repeats=repeats,
        seed=seed,
    )


def _find_judged(quantities: Sequence[str]) -> IndexArray:
    """Return the feature that a model of single sensors judges in place of each feature: (feature,)."""
    pairs = Quantities(quantities)
    judged: IndexArray = pairs.expand(pairs.representatives)
    return judged


def _shuffle_slice(
    scaled: NDArray[np.float32], window_slice: _WindowSlice, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a copy of the windows in which the values of the slice are exchanged among the windows.

    The values of the slice in one window stay together.
    """
    copy = scaled.copy()
    copy[:, *window_slice] = scaled[rng.permutation(len(scaled))][:, *window_slice]
    return copy
