"""The two networks: LSTM (two LSTM layers, one dense layer) and dense (three dense layers)."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from training.config.settings import FitSettings
from training.network.backend import keras, tf
from training.network.suppress_stderr import suppress_stderr

__all__ = ["build", "make_deterministic", "score", "weights"]

_MAX_BATCH_SIZE = 4096
# An average over one epoch still varies too much from epoch to epoch.
_EPOCHS_TO_AVERAGE = 2


def make_deterministic(seed: int) -> None:
    """Make training deterministic: on one machine, the same seed gives the same weights."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(settings: FitSettings, steps: int, features: int, updates_per_epoch: int) -> keras.Model:
    """Return the compiled network: scaled windows (window, step, feature) -> P(Faulty) (window, 1).

    Parameters
    ----------
    settings : kind of network, sizes of its layers, initialisers, learning rate.
    steps, features : shape of a window.
    updates_per_epoch : number of batches of an epoch. Adam also keeps an average of the weights over about
        two epochs, which `keras.callbacks.SwapEMAWeights` uses.
    """
    hidden = {"lstm": _lstm_layers, "dense": _dense_layers}[settings.network](settings)
    output = keras.layers.Dense(1, activation="sigmoid", kernel_initializer=settings.kernel_initializer)
    network = keras.Sequential([keras.Input((steps, features)), *hidden, output])
    momentum = 1 - 1 / (_EPOCHS_TO_AVERAGE * updates_per_epoch)
    adam = keras.optimizers.Adam(settings.learning_rate, use_ema=True, ema_momentum=momentum)
    network.compile(optimizer=adam, loss="binary_crossentropy")
    return network


def _lstm_layers(settings: FitSettings) -> list[keras.layers.Layer]:
    """Return layers to (window, units[2]).

    The second LSTM returns its last output only: with a sequence, the network would score each step.
    """
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
    """Return layers from the flat window (window, step * feature) to (window, units[2])."""
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
    """Return the weights, layer by layer."""
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
