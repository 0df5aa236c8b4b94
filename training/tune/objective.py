"""The objective of a search: F1 of Faulty on the validation part. The test part is removed before."""

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

__all__ = ["all_faulty_f1", "drop_test_part", "measure"]


def drop_test_part(prepared: PreparedData) -> PreparedData:
    """Return the same data without the test part, which must not influence the search.

    Raises
    ------
    InvalidInputError : the validation part has no Faulty window, so F1 cannot compare settings there.
    """
    if not prepared.validation.faulty.any():
        raise InvalidInputError(
            "no window of the validation part is Faulty, expected some to choose settings by"
        )
    return replace(prepared, test=prepared.train[:0], frames=[])


def measure(
    prepared: PreparedData, settings: FitSettings, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> float:
    """Train, and return the F1 of Faulty on the validation part; 0 where no fault is found."""
    # Keras keeps the networks of earlier trials in memory until this call.
    keras.backend.clear_session()
    trained = train(prepared, settings, callbacks)
    scores = models.score(trained.network, prepared.scaler.transform(prepared.validation.windows))
    return window_metrics.measure(prepared.validation, scores > DEFAULT_THRESHOLD).f1 or 0.0


def all_faulty_f1(prepared: PreparedData) -> float:
    """Return the F1 of calling every validation window Faulty, which a network reaches without learning."""
    faulty = prepared.validation.faulty
    return float(metrics.f1_score(faulty, np.ones_like(faulty), zero_division=0.0))
