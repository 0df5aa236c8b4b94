"""The network: two LSTM layers and a dense one over a window."""

import numpy as np
from numpy.typing import NDArray

from monitor.records import FloatArray
from training.backend import keras, tf
from training.quiet import quiet

__all__ = ["build", "make_repeatable", "score", "weights"]

_LARGEST_CALL = 4096


def make_repeatable(seed: int) -> None:
    """Fix what is random in training, so that one seed gives one network on one machine."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(steps: int, features: int, learning_rate: float, updates: int) -> keras.Model:
    """Return the compiled network: scaled windows (window, step, feature) -> P(Faulty) (window, 1).

    Parameters
    ----------
    steps, features : the shape of a window.
    learning_rate : Adam's, at the start.
    updates : batches until it has fallen to 0 along a cosine. At a constant rate the F1 on later readings
        still jumps by several points from one epoch to the next when training stops.
    """
    network = keras.Sequential(
        [
            keras.Input((steps, features)),
            keras.layers.LSTM(128, return_sequences=True),
            keras.layers.Dropout(0.3),
            keras.layers.LSTM(64),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(32, activation="relu", kernel_initializer="he_normal"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    falling = keras.optimizers.schedules.CosineDecay(learning_rate, updates)
    network.compile(optimizer=keras.optimizers.Adam(falling), loss="binary_crossentropy")
    return network


def weights(network: keras.Model) -> list[NDArray[np.float32]]:
    """Return the trained numbers, layer by layer."""
    with quiet():
        return list(network.get_weights())


def score(network: keras.Model, scaled: NDArray[np.float32]) -> FloatArray:
    """Return P(Faulty) of scaled windows (window, step, feature): (window,)."""
    with quiet():
        parts = [
            network(scaled[start : start + _LARGEST_CALL], training=False).numpy()[:, 0]
            for start in range(0, len(scaled), _LARGEST_CALL)
        ]
    return np.concatenate(parts).astype(np.float64)
