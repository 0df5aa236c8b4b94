"""The classifiers with which the LSTM is compared, with four candidates (settings) each.

All classifiers get the same scaled windows as the LSTM. The candidates vary the most important settings of a
classifier around the default of its library. If the networks are trained with augmentation, each classifier
is included twice: trained on the recorded windows, and trained on augmented copies of them.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from monitor.core.arrays import FloatArray
from training.network.augmentation import Augmentation

__all__ = ["CANDIDATES_PER_CLASSIFIER", "Candidate", "ScoreFunction", "TrainFunction", "build_candidates"]

# Number of augmented copies of each window. More copies improve the results little, and the training time of
# an SVM grows with the square of their number.
_AUGMENTED_COPIES = 5
CANDIDATES_PER_CLASSIFIER = 4
"""Number of candidates for each classifier."""

ScoreFunction = Callable[[NDArray[np.float32]], FloatArray]
"""Scaled windows (window, step, feature) -> scores (window,) from 0 to 1; above 0.5 means Faulty."""
TrainFunction = Callable[[NDArray[np.float32], NDArray[np.bool_]], ScoreFunction]
"""Scaled windows (window, step, feature), true labels (window,) -> score function of the trained
classifier."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A classifier with given settings."""

    settings: str
    """The settings as text."""
    train: TrainFunction
    copies: int = 1
    """Number of copies of each training window that `train` makes."""


def build_candidates(seed: int, augmentation: Augmentation | None) -> dict[str, list[Candidate]]:
    """Return the candidates of all classifiers: name of the classifier -> candidates.

    Parameters
    ----------
    seed : random seed of all classifiers.
    augmentation : the augmentation with which the networks are trained; None for no augmentation.
    """
    forest = partial(
        RandomForestClassifier, n_estimators=200, class_weight="balanced", random_state=seed, n_jobs=-1
    )
    svm = partial(SVC, class_weight="balanced", cache_size=500)
    boosting = partial(HistGradientBoostingClassifier, class_weight="balanced", random_state=seed)
    perceptron = partial(MLPClassifier, max_iter=300, random_state=seed)
    estimators = {
        "random forest": _grid(forest, min_samples_leaf=[1, 3], max_features=["sqrt", 1.0]),
        "SVM (RBF)": _grid(svm, C=[10.0, 100.0], gamma=["scale", 0.01]),
        "hist. gradient boosting": _grid(boosting, learning_rate=[0.05, 0.1], max_iter=[100, 300]),
        "MLP": _grid(perceptron, hidden_layer_sizes=[(100,), (128, 64)], alpha=[1e-4, 1e-2]),
    }
    range_checks = [
        Candidate(f"margin {margin:.0%} of the range", partial(_range_check, margin))
        for margin in (0.0, 0.1, 0.25, 0.5)
    ]
    augmented = {
        f"{name}, + moves": [
            Candidate(
                candidate.settings,
                partial(_train_augmented, candidate, augmentation, seed),
                copies=_AUGMENTED_COPIES,
            )
            for candidate in candidates
        ]
        for name, candidates in estimators.items()
        if augmentation is not None
    }
    return {**estimators, **augmented, "range check": range_checks}


def _train_augmented(
    candidate: Candidate,
    augmentation: Augmentation,
    seed: int,
    scaled: NDArray[np.float32],
    faulty: NDArray[np.bool_],
) -> ScoreFunction:
    rng = np.random.default_rng(seed)
    copies = [augmentation.augment(scaled, faulty, rng) for _ in range(_AUGMENTED_COPIES)]
    return candidate.train(np.concatenate(copies), np.tile(faulty, _AUGMENTED_COPIES))


def _grid(make_estimator: Callable[..., Any], **choices: list[Any]) -> list[Candidate]:
    candidates = []
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        text = ", ".join(f"{name} {value}" for name, value in chosen.items())
        candidates.append(Candidate(text, partial(_train_estimator, partial(make_estimator, **chosen))))
    return candidates


def _train_estimator(
    make_estimator: Callable[[], Any], scaled: NDArray[np.float32], faulty: NDArray[np.bool_]
) -> ScoreFunction:
    model = make_estimator()
    # One thread for OpenMP and BLAS: on a busy machine with two cores, boosting on 2,000 windows took 187 s
    # with two threads that wait for each other, and 4 s with one.
    with warnings.catch_warnings(), threadpool_limits(1):
        # A classifier that has not converged after the last iteration remains a candidate; its F1 score
        # decides.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(_flatten(scaled), faulty)
    if hasattr(model, "n_jobs"):
        model.n_jobs = None  # threads speed up a long training, and slow down the scoring of a batch
    if hasattr(model, "predict_proba"):
        return lambda windows: np.asarray(model.predict_proba(_flatten(windows))[:, 1], dtype=np.float64)
    # An SVM returns the signed distance from its decision boundary. The logistic function maps distances to
    # 0..1, and the distance 0 to 0.5.
    return lambda windows: np.asarray(
        0.5 + 0.5 * np.tanh(model.decision_function(_flatten(windows)) / 2), dtype=np.float64
    )


def _range_check(margin: float, scaled: NDArray[np.float32], faulty: NDArray[np.bool_]) -> ScoreFunction:
    """Return a score function: 1 if any value is outside the healthy range of its feature, else 0.

    The range is widened on both sides by `margin` times its width.
    """
    healthy = scaled[~faulty]
    low, high = healthy.min(axis=(0, 1)), healthy.max(axis=(0, 1))  # (feature,)
    tolerance = margin * (high - low)
    low, high = low - tolerance, high + tolerance
    return lambda windows: ((windows < low) | (windows > high)).any(axis=(1, 2)).astype(np.float64)


def _flatten(scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    return scaled.reshape(len(scaled), -1)  # (window, step * feature)
