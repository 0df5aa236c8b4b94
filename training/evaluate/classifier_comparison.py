"""The bundle's network beside other classifiers, on both splits of the recording that it was trained on."""

from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.bundle import Bundle
from monitor.bundle.model import Classifier
from training.config.errors import InputError
from training.config.settings import FitSettings
from training.console.task_progress import Countdown
from training.data.dataset import STEPS
from training.data.prepare import Prepared, prepare
from training.data.recordings import NAMES
from training.evaluate import classifiers, comparison_table
from training.evaluate.classifiers import CANDIDATES, Candidate, Score
from training.evaluate.comparison_table import Parts, Standing, Table
from training.network import onnx_graph
from training.network.augmentation import change
from training.network.backend import keras
from training.network.train import train

__all__ = ["SPLITS", "against", "tasks"]

SPLITS = ("time", "random")
_TITLES = {"lstm": "LSTM", "dense": "dense network"}


def tasks(settings: FitSettings) -> int:
    """Return how many classifiers `against` trains."""
    changed = change(settings, np.ones(len(NAMES)))
    others = len(classifiers.classic(settings.seed, changed)) + len(_TITLES) - 1
    # The bundle's own network is trained anew for the split that the bundle wasn't trained on.
    return len(SPLITS) * others * CANDIDATES + len(SPLITS) - 1


def against(paths: Sequence[Path], judge: Bundle, settings: FitSettings, progress: Countdown) -> list[Table]:
    """Train the others as `fit` trained the bundle's network, and measure all on the same windows.

    Parameters
    ----------
    paths : what the bundle was trained on.
    settings : how.

    Raises
    ------
    InputError : the bundle was trained on something else, or on all of it.
    """
    tables = []
    for split in SPLITS:
        chosen = settings.model_copy(update={"split": split})
        prepared = prepare(paths, None, chosen)
        _check(paths, prepared)
        own = None
        if split == settings.split:
            _check_same(paths, prepared, judge)
            own = judge
        tables.append(Table(split, tuple(_standings(prepared, chosen, own, progress))))
    return tables


def _check(paths: Sequence[Path], prepared: Prepared) -> None:
    if not prepared.test.faulty.any() or prepared.test.faulty.all():
        raise InputError(
            f"{_named(paths)}: the bundle's test_share leaves no test part with both Normal and Faulty "
            "windows, expected one to compare on"
        )


def _check_same(paths: Sequence[Path], prepared: Prepared, judge: Bundle) -> None:
    """Another training part would give another scaler, to the last bit."""
    if not (
        np.array_equal(prepared.scaler.mean, judge.scaler.mean)
        and np.array_equal(prepared.scaler.scale, judge.scaler.scale)
    ):
        given = ", ".join(judge.manifest.data["recordings"]) or "a file of windows"
        raise InputError(
            f"{_named(paths)}: its training part isn't that of bundle {judge.manifest.id}; expected "
            f"exactly what `fit` was given: {given}"
        )


def _standings(
    prepared: Prepared, settings: FitSettings, own: Bundle | None, progress: Countdown
) -> list[Standing]:
    parts = Parts(prepared.train, prepared.validation, prepared.test, prepared.scaler, prepared.sample_period)
    field = {_TITLES[name]: _candidates(name, prepared, settings, progress) for name in _TITLES}
    changed = change(settings, prepared.scaler.scale)
    title = _TITLES[settings.network]
    standings = []
    for name, candidates in {**field, **classifiers.classic(settings.seed, changed)}.items():
        if name == title and own is not None:
            threshold, theirs = own.manifest.threshold, own.classifier.score
            standings.append(comparison_table.judge(name, "the bundle's", 1, theirs, parts, threshold))
            continue
        done = partial(progress.done, f"{name}, split {settings.split}")
        chosen, score = comparison_table.choose(candidates, parts, done)
        standings.append(comparison_table.judge(name, chosen, len(candidates), score, parts))
    # The bundle's own first, whichever it is.
    return sorted(standings, key=lambda one: one.name != title)


def _candidates(name: str, prepared: Prepared, settings: FitSettings, progress: Countdown) -> list[Candidate]:
    """Return one candidate for the bundle's own kind of network, its settings, and four for the other."""
    if name == settings.network:
        return [Candidate("the bundle's", partial(_network, prepared, settings, progress))]
    changes = [
        {"network": name, "units": units, "learning_rate": rate}
        for units, rate in product([(128, 64, 32), (64, 32, 16)], [1e-3, 3e-3])
    ]
    return [
        Candidate(
            f"units {change['units']}, learning_rate {change['learning_rate']}",
            partial(_network, prepared, settings.model_copy(update=change), progress),
        )
        for change in changes
    ]


def _network(
    prepared: Prepared,
    settings: FitSettings,
    progress: Countdown,
    _scaled: NDArray[np.float32],
    _faulty: NDArray[np.bool_],
) -> Score:
    """Train as `fit` does, on the same windows in `prepared`; score as the monitor does."""

    def advance(epoch: int, logs: object) -> None:  # noqa: ARG001 - Keras passes both by name
        progress.part((epoch + 1) / settings.epochs)

    trained = train(prepared, settings, [keras.callbacks.LambdaCallback(on_epoch_end=advance)])
    return Classifier(onnx_graph.to_onnx(trained.network), STEPS, len(NAMES)).score


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
