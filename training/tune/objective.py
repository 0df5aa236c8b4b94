"""The objective of the hyperparameter search: F1 score of the class Faulty on the validation set.

The test set is removed before the search starts.
"""

from collections.abc import Sequence
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

__all__ = ["all_faulty_f1", "prepare_for_search", "validation_f1"]


def prepare_for_search(prepared: PreparedData) -> PreparedData:
    """Check the validation set; return the data without the test set, which must not influence the search.

    Raises
    ------
    InvalidInputError : the validation set has no Faulty window, so its F1 score is the same for all settings.
    """
    if not prepared.validation.faulty.any():
        raise InvalidInputError(
            "the validation set has no Faulty window; the search needs at least one to compare settings"
        )
    # Training needs neither the test set nor the readings, so both are replaced by empty values.
    return replace(prepared, test=prepared.train[:0], frames=[])


def validation_f1(
    prepared: PreparedData, settings: FitSettings, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> float:
    """Train a network; return the F1 score of class Faulty on the validation set.

    The score is 0 if no Faulty window is predicted Faulty.
    """
    # Frees the networks of earlier trials, which Keras otherwise keeps in memory.
    keras.backend.clear_session()
    trained = train(prepared, settings, callbacks)
    scores = models.compute_scores(trained.network, prepared.scaler.transform(prepared.validation.windows))
    return window_metrics.compute_window_metrics(prepared.validation, scores > DEFAULT_THRESHOLD).f1 or 0.0


def all_faulty_f1(prepared: PreparedData) -> float:
    """Return the validation F1 score if every window is predicted Faulty: the score of an untrained model."""
    faulty = prepared.validation.faulty
    return float(metrics.f1_score(faulty, np.ones_like(faulty), zero_division=0.0))
