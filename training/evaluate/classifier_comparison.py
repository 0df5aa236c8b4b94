"""Compares the bundle's network with other classifiers on its own recording, split by time and at random.

All classifiers get the same windows, labels and split. Each has four candidates, of which
`candidate_selection` selects one. The bundle's network has only one candidate, its own settings, so it is
tuned less than the others.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.bundle import Bundle
from monitor.bundle.model import Classifier, find_sensors
from monitor.core.errors import InvalidInputError
from training.config.settings import FitSettings
from training.console.task_progress import TaskProgress
from training.data.prepare import PreparedData, prepare
from training.evaluate import candidate_selection, classifiers
from training.evaluate.candidate_selection import DataSplit
from training.evaluate.classifiers import CANDIDATES_PER_CLASSIFIER, Candidate, ScoreFunction
from training.evaluate.comparison_table import ClassifierResult, ComparisonTable
from training.network.augmentation import build_augmentation

__all__ = ["SPLITS", "compare", "count_tasks"]

SPLITS = ("time", "random")
# Training windows, augmented copies included, on which the candidates of a classifier are compared.
_MAX_SELECTION_WINDOWS = 5_000
_NETWORK_TITLES = {"lstm": "LSTM", "dense": "dense network", "sensor-lstm": "LSTM by sensor"}
# Compared with the bundle's network, whichever that is.
_COMPARED_NETWORKS = ("lstm", "dense")


def count_tasks(settings: FitSettings) -> int:
    """Return the number of classifiers that `compare` trains."""
    augmentation = build_augmentation(settings, np.ones(len(settings.features)))
    classifier_count = (
        len(classifiers.build_candidates(settings.seed, augmentation)) + len(_networks(settings)) - 1
    )
    # The bundle's network is trained again for the split that the bundle was not trained on.
    return len(SPLITS) * classifier_count * CANDIDATES_PER_CLASSIFIER + len(SPLITS) - 1


def _networks(settings: FitSettings) -> list[str]:
    """Return the types of networks to compare: the bundle's, and those that have not one."""
    return list(dict.fromkeys([*_COMPARED_NETWORKS, settings.network]))


def compare(
    paths: Sequence[Path], bundle: Bundle, settings: FitSettings, progress: TaskProgress
) -> list[ComparisonTable]:
    """Train the other classifiers on the training set of the bundle, and evaluate all on the same test set.

    Parameters
    ----------
    paths : the recordings on which the bundle was trained.
    settings : the settings with which the bundle was trained.
    progress : reports each trained candidate as a finished task.

    Raises
    ------
    InvalidInputError : the bundle was trained on other data, or its test set is empty.
    """
    tables = []
    for split in SPLITS:
        split_settings = settings.model_copy(update={"split": split})
        prepared = prepare(paths, None, split_settings)
        _check_test_part(paths, prepared)
        own_bundle = None
        if split == settings.split:
            _check_training_set(paths, prepared, bundle)
            own_bundle = bundle
        tables.append(
            ComparisonTable(split, tuple(_measure_all(prepared, split_settings, own_bundle, progress)))
        )
    return tables


def _check_test_part(paths: Sequence[Path], prepared: PreparedData) -> None:
    if not prepared.test.faulty.any() or prepared.test.faulty.all():
        raise InvalidInputError(
            f"{', '.join(map(str, paths))}: the bundle's test_share leaves no test part with both Normal and "
            "Faulty windows, expected one to compare on"
        )


def _check_training_set(paths: Sequence[Path], prepared: PreparedData, bundle: Bundle) -> None:
    """Raise an error if the scaler fitted on the training set is not that of the bundle."""
    if not (
        np.array_equal(prepared.scaler.mean, bundle.scaler.mean)
        and np.array_equal(prepared.scaler.scale, bundle.scaler.scale)
    ):
        given = ", ".join(bundle.manifest.data["recordings"]) or "a file of windows"
        expected = (
            f"a bundle that `fit --recording` made; this one is of `fit --healthy {given}`, whose copies "
            "with faults are not kept (`inject` makes such a copy)"
            if "healthy" in bundle.manifest.data
            else f"exactly what `fit` was given: {given}"
        )
        raise InvalidInputError(
            f"{', '.join(map(str, paths))}: its training part isn't that of bundle {bundle.manifest.id}; "
            f"expected {expected}"
        )


def _measure_all(
    prepared: PreparedData, settings: FitSettings, own_bundle: Bundle | None, progress: TaskProgress
) -> list[ClassifierResult]:
    data = DataSplit(
        prepared.train,
        prepared.validation,
        prepared.test,
        prepared.scaler,
        prepared.sample_period,
        drawn_at_random=settings.split == "random",
    )
    networks = {
        _NETWORK_TITLES[name]: _candidates(name, prepared, settings, progress) for name in _networks(settings)
    }
    augmentation = build_augmentation(settings, prepared.scaler.scale)
    title = _NETWORK_TITLES[settings.network]
    results = []
    for name, candidates in {**networks, **classifiers.build_candidates(settings.seed, augmentation)}.items():
        if name == title and own_bundle is not None:
            threshold, bundle_score = own_bundle.manifest.threshold, own_bundle.classifier.score
            results.append(
                candidate_selection.measure_on_test(name, "the bundle's", 1, bundle_score, data, threshold)
            )
            continue
        advance = partial(progress.finish_task, f"{name}, split {settings.split}")
        # A network is trained as `fit` does, on all windows.
        max_windows = None if name in networks else _MAX_SELECTION_WINDOWS // candidates[0].copies
        chosen, score = candidate_selection.select_candidate(candidates, data, advance, max_windows)
        results.append(candidate_selection.measure_on_test(name, chosen, len(candidates), score, data))
    # The bundle's network comes first.
    return sorted(results, key=lambda result: result.name != title)


def _candidates(
    name: str, prepared: PreparedData, settings: FitSettings, progress: TaskProgress
) -> list[Candidate]:
    """Return one candidate for the bundle's network type (the bundle's settings), four for the other type."""
    if name == settings.network:
        return [Candidate("the bundle's", partial(_train_network, prepared, settings, progress))]
    changes = [
        {"network": name, "units": units, "learning_rate": rate}
        for units, rate in product([(128, 64, 32), (64, 32, 16)], [1e-3, 3e-3])
    ]
    return [
        Candidate(
            f"units {change['units']}, learning_rate {change['learning_rate']}",
            partial(_train_network, prepared, settings.model_copy(update=change), progress),
        )
        for change in changes
    ]


def _train_network(
    prepared: PreparedData,
    settings: FitSettings,
    progress: TaskProgress,
    _scaled: NDArray[np.float32],
    _faulty: NDArray[np.bool_],
) -> ScoreFunction:
    """Train a network as `fit` does; return a function that scores with ONNX Runtime, as the monitor does."""
    # They import TensorFlow, without which the rest of this module works.
    from training.network import onnx_graph  # noqa: PLC0415
    from training.network.epoch_progress import EpochShareCallback  # noqa: PLC0415
    from training.network.train import train  # noqa: PLC0415

    trained = train(prepared, settings, [EpochShareCallback(settings.epochs, progress.update)])
    sensors = find_sensors(settings.judges, settings.quantities)
    onnx = onnx_graph.to_onnx(trained.network)
    return Classifier(onnx, settings.steps, len(settings.features), sensors).score
