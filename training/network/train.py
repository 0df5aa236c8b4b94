"""Prepared windows -> trained network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from training.config.settings import FitSettings
from training.data.dataset import STEPS
from training.data.prepare import Prepared
from training.data.recordings import NAMES
from training.network import augmentation, models
from training.network.backend import keras
from training.network.batches import Batches
from training.network.suppress_stderr import quiet

__all__ = ["Trained", "class_weights", "train"]

# Epochs without a lower validation loss until the learning rate is halved.
_EPOCHS_AT_A_RATE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A network with the weights of its best epoch."""

    network: keras.Model
    history: dict[str, list[float]]
    """`loss` and `val_loss` (binary cross-entropy) of each epoch: (epoch,)."""


def train(
    prepared: Prepared, settings: FitSettings, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> Trained:
    """Train until the validation loss has stopped falling; keep the average weights of the best epoch.

    The same data, settings and machine give the same weights.
    """
    data, validation = prepared.train, prepared.validation
    # From one epoch to the next, the F1 on later readings jumps by several points. The weights' average
    # over two epochs doesn't, nor does a network whose rate has fallen.
    averaging = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    falling = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=_EPOCHS_AT_A_RATE)
    stopping = keras.callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True)
    with quiet():
        models.make_repeatable(settings.seed)
        model = models.build(settings, STEPS, len(NAMES), updates=-(-len(data) // settings.batch_size))
        history = model.fit(
            _batches(prepared, settings),
            validation_data=(
                prepared.scaler.transform(validation.windows),
                validation.faulty.astype(np.int64),
            ),
            epochs=settings.epochs,
            callbacks=[*callbacks, averaging, falling, stopping],
            verbose=0,
        )
    losses = {name: [float(loss) for loss in history.history[name]] for name in ("loss", "val_loss")}
    return Trained(model, losses)


def _batches(prepared: Prepared, settings: FitSettings) -> Batches:
    data, scaler = prepared.train, prepared.scaler
    weights = class_weights(data.faulty, settings)
    return Batches(
        scaler.transform(data.windows),
        data.faulty,
        np.where(data.faulty, weights[1], weights[0]),
        change=augmentation.change(settings, scaler.scale),
        size=settings.batch_size,
        seed=settings.seed,
    )


def class_weights(faulty: NDArray[np.bool_], settings: FitSettings) -> dict[int, float]:
    """Return how much a Normal (0) and a Faulty (1) window counts; (window,) with both in it."""
    if settings.class_weight == "none":
        return {0: 1.0, 1: 1.0}
    if settings.class_weight == "balanced":
        normal, other = compute_class_weight("balanced", classes=np.array([False, True]), y=faulty)
        return {0: float(normal), 1: float(other)}
    return dict(enumerate(settings.class_weight))
