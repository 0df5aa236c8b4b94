"""Trains a network on prepared windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from training.config.settings import FitSettings
from training.data.prepare import PreparedData
from training.network import augmentation, models
from training.network.backend import keras
from training.network.batches import Batches
from training.network.capture_stderr import capture_stderr

__all__ = ["TrainedNetwork", "choose_class_weights", "train"]

# The learning rate is halved after this many epochs without a lower validation loss.
_LR_PATIENCE_EPOCHS = 3


@dataclass(frozen=True, slots=True, eq=False)
class TrainedNetwork:
    """A network with the weights of its best epoch."""

    network: keras.Model
    history: dict[str, list[float]]
    """`loss` and `val_loss` (binary cross-entropy) of each epoch: (epoch,)."""
    class_weights: dict[int, float]
    """Weights in the loss: 0 (Normal) -> weight, 1 (Faulty) -> weight."""


def train(
    prepared: PreparedData, settings: FitSettings, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> TrainedNetwork:
    """Train until the validation loss stops falling.

    The averaged weights of the epoch with the lowest validation loss are kept. On the same machine, the same
    data and settings give the same weights.
    """
    data, validation = prepared.train, prepared.validation
    class_weights = choose_class_weights(data.faulty, settings)
    # The F1 score on later readings varies by several percentage points from epoch to epoch. Averaging the
    # weights over two epochs and reducing the learning rate prevent this.
    ema = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    reduce_lr = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=_LR_PATIENCE_EPOCHS)
    early_stopping = keras.callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True)
    with capture_stderr():
        models.make_deterministic(settings.seed)
        model = models.build(
            settings,
            settings.steps,
            len(settings.features),
            updates_per_epoch=-(-len(data) // settings.batch_size),
        )
        history = model.fit(
            _build_batches(prepared, settings, class_weights),
            validation_data=(
                prepared.scaler.transform(validation.windows),
                validation.faulty.astype(np.int64),
            ),
            epochs=settings.epochs,
            callbacks=[*callbacks, ema, reduce_lr, early_stopping],
            verbose=0,
        )
    losses = {name: [float(loss) for loss in history.history[name]] for name in ("loss", "val_loss")}
    return TrainedNetwork(model, losses, class_weights)


def _build_batches(
    prepared: PreparedData, settings: FitSettings, class_weights: Mapping[int, float]
) -> Batches:
    data, scaler = prepared.train, prepared.scaler
    return Batches(
        scaler.transform(data.windows),
        data.faulty,
        np.where(data.faulty, class_weights[1], class_weights[0]),
        augmentation=augmentation.build_augmentation(settings, scaler.scale),
        batch_size=settings.batch_size,
        seed=settings.seed,
    )


def choose_class_weights(faulty: NDArray[np.bool_], settings: FitSettings) -> dict[int, float]:
    """Return the loss weights of the classes: 0 (Normal) -> weight, 1 (Faulty) -> weight.

    Parameters
    ----------
    faulty : the true labels of the training windows (window,), with both classes.
    """
    if settings.class_weight == "none":
        return {0: 1.0, 1: 1.0}
    if settings.class_weight == "balanced":
        normal_weight, faulty_weight = compute_class_weight(
            "balanced", classes=np.array([False, True]), y=faulty
        )
        return {0: float(normal_weight), 1: float(faulty_weight)}
    return dict(enumerate(settings.class_weight))
