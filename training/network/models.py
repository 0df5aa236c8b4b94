"""The networks: two LSTM layers and a dense one over a window, or three dense ones over it flat."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from training.config.settings import FitSettings
from training.network.backend import keras, tf
from training.network.suppress_stderr import suppress_stderr

__all__ = ["build", "make_deterministic", "score", "weights"]

_MAX_BATCH_SIZE = 4096
# Over one, the average still follows each epoch too closely.
_EPOCHS_TO_AVERAGE = 2


def make_deterministic(seed: int) -> None:
    """Fix what is random in training, so that one seed gives one network on one machine."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(settings: FitSettings, steps: int, features: int, updates_per_epoch: int) -> keras.Model:
    """Return the compiled network: scaled windows (window, step, feature) -> P(Faulty) (window, 1).

    Parameters
    ----------
    settings : which network, its sizes, and how it begins.
    steps, features : the shape of a window.
    updates_per_epoch : batches of an epoch. Adam also keeps the weights' average over about two epochs, for
        `keras.callbacks.SwapEMAWeights` to use.
    """
    hidden = {"lstm": _lstm_layers, "dense": _dense_layers}[settings.network](settings)
    output = keras.layers.Dense(1, activation="sigmoid", kernel_initializer=settings.kernel_initializer)
    network = keras.Sequential([keras.Input((steps, features)), *hidden, output])
    momentum = 1 - 1 / (_EPOCHS_TO_AVERAGE * updates_per_epoch)
    adam = keras.optimizers.Adam(settings.learning_rate, use_ema=True, ema_momentum=momentum)
    network.compile(optimizer=adam, loss="binary_crossentropy")
    return network


def _lstm_layers(settings: FitSettings) -> list[keras.layers.Layer]:
    """Return layers to (window, units[2]). If the second LSTM gave a sequence too, each step had a score."""
    initial = {
        "kernel_initializer": settings.kernel_initializer,
        "recurrent_initializer": settings.recurrent_initializer,
    }
    return [
        keras.layers.LSTM(settings.units[0], return_sequences=True, **initial),  # (window, step, units[0])
        keras.layers.Dropout(settings.dropout[0]),
        keras.layers.LSTM(settings.units[1], **initial),  # (window, units[1])
        keras.layers.Dropout(settings.dropout[1]),
        _relu_layer(settings, 2),
    ]


def _dense_layers(settings: FitSettings) -> list[keras.layers.Layer]:
    """Return layers to (window, units[2]) over the flat window (window, step * feature)."""
    return [
        keras.layers.Flatten(),
        _relu_layer(settings, 0),
        keras.layers.Dropout(settings.dropout[0]),
        _relu_layer(settings, 1),
        keras.layers.Dropout(settings.dropout[1]),
        _relu_layer(settings, 2),
    ]


def _relu_layer(settings: FitSettings, layer: int) -> keras.layers.Layer:
    return keras.layers.Dense(
        settings.units[layer], activation="relu", kernel_initializer=settings.kernel_initializer
    )


def weights(network: keras.Model) -> list[NDArray[np.float32]]:
    """Return the trained numbers, layer by layer."""
    with suppress_stderr():
        return list(network.get_weights())


def score(network: keras.Model, scaled: NDArray[np.float32]) -> FloatArray:
    """Return P(Faulty) of scaled windows (window, step, feature): (window,)."""
    with suppress_stderr():
        parts = [
            network(scaled[start : start + _MAX_BATCH_SIZE], training=False).numpy()[:, 0]
            for start in range(0, len(scaled), _MAX_BATCH_SIZE)
        ]
    return np.concatenate(parts).astype(np.float64)
