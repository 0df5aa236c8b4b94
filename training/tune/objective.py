"""What a search is after: F1 of Faulty on the validation part. The test part is taken away before."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from sklearn import metrics

from monitor.core.errors import InvalidInputError
from monitor.core.rules import DEFAULT_THRESHOLD
from training.config.settings import FitSettings
from training.data.prepare import PreparedData
from training.evaluate import window_metrics
from training.network import models
from training.network.backend import keras
from training.network.train import train

__all__ = ["EpochProgress", "all_faulty_f1", "drop_test_part", "measure"]


def drop_test_part(prepared: PreparedData) -> PreparedData:
    """Return the same without the readings that the winner will be judged by.

    Raises
    ------
    InvalidInputError : the validation part has no Faulty window, so its F1 can't tell settings apart.
    """
    if not prepared.validation.faulty.any():
        raise InvalidInputError(
            "no window of the validation part is Faulty, expected some to choose settings by"
        )
    return replace(prepared, test=prepared.train[:0], frames=[])


def measure(
    prepared: PreparedData, settings: FitSettings, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> float:
    """Train, and return the F1 on the validation part; 0 where no fault is found."""
    # Keras keeps what earlier trials built until it is told.
    keras.backend.clear_session()
    trained = train(prepared, settings, callbacks)
    scores = models.score(trained.network, prepared.scaler.transform(prepared.validation.windows))
    return window_metrics.measure(prepared.validation, scores > DEFAULT_THRESHOLD).f1 or 0.0


def all_faulty_f1(prepared: PreparedData) -> float:
    """Return what a network that has learnt nothing can get: the F1 of calling every window Faulty."""
    faulty = prepared.validation.faulty
    return float(metrics.f1_score(faulty, np.ones_like(faulty), zero_division=0.0))


class EpochProgress(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells after each epoch which share of the epochs is done."""

    def __init__(self, epochs: int, on_progress: Callable[[float], None]) -> None:
        super().__init__()
        self._epochs = epochs
        self._on_progress = on_progress

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002 - Keras passes them
        """Tell."""
        self._on_progress((epoch + 1) / self._epochs)
