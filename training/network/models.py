"""The networks: LSTM (two LSTM layers, one dense layer), dense (three dense layers), and LSTM by sensor.

The last judges the deviations of one sensor. It is trained on windows all the same: a window's score is the
highest of its sensors' scores, so no label of a single sensor is needed. The gradient of a window goes to
the sensor with the highest score.
"""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.quantities import Quantities
from training.config.initializers import PARAMETERS, parse_call
from training.config.settings import LAYERS_WITH_KERNEL, FitSettings
from training.network.backend import keras, tf
from training.network.capture_stderr import capture_stderr

__all__ = ["build", "compute_scores", "get_judge", "get_weights", "make_deterministic"]

_MAX_BATCH_SIZE = 4096
_JUDGE = "judge"
# An average over only one epoch still varies too much from epoch to epoch.
_EPOCHS_TO_AVERAGE = 2


def make_deterministic(seed: int) -> None:
    """Make training deterministic: on one machine, the same seed gives the same weights."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(settings: FitSettings, steps: int, features: int, updates_per_epoch: int) -> keras.Model:
    """Build and compile the network: scaled windows (window, step, feature) -> P(Faulty) (window, 1).

    Parameters
    ----------
    settings : type of network, sizes of the layers, dropout, initialisers and learning rate are used; of a
        network that judges by sensor also the quantities of the features.
    steps, features : shape of a window.
    updates_per_epoch : number of batches in an epoch. Adam keeps a moving average of the weights over about
        two epochs, which `keras.callbacks.SwapEMAWeights` uses.
    """
    if settings.judges == "sensor":
        network = _build_sensor_network(settings, steps, features)
    else:
        network = _build_layers(settings, steps, features)
    momentum = 1 - 1 / (_EPOCHS_TO_AVERAGE * updates_per_epoch)
    adam = keras.optimizers.Adam(settings.learning_rate, use_ema=True, ema_momentum=momentum)
    network.compile(optimizer=adam, loss="binary_crossentropy")
    return network


def _build_layers(settings: FitSettings, steps: int, features: int) -> keras.Model:
    # In this order: each layer takes its initial weights from the same sequence of random numbers.
    hidden = (_build_dense_layers if settings.network == "dense" else _build_lstm_layers)(settings)
    output = keras.layers.Dense(
        1, activation="sigmoid", kernel_initializer=_kernel_initializer(settings, LAYERS_WITH_KERNEL - 1)
    )
    return keras.Sequential([keras.Input((steps, features)), *hidden, output], name=_JUDGE)


def _build_sensor_network(settings: FitSettings, steps: int, features: int) -> keras.Model:
    """Build a network (window, step, feature) -> (window, 1) whose layer `judge` judges one sensor.

    Of a pair, whose sensors deviate equally but for the sign, the first is judged.
    """
    judge = _build_layers(settings, steps, features=1)
    windows = keras.Input((steps, features))
    sensors = Quantities(settings.quantities).representatives.tolist()
    scores = [judge(windows[:, :, sensor : sensor + 1]) for sensor in sensors]  # (window, 1) each
    return keras.Model(windows, keras.layers.maximum(scores) if len(scores) > 1 else scores[0])


def get_judge(network: keras.Model) -> keras.Model:
    """Return the part of a network that the bundle holds: all of it, or what judges one sensor."""
    return next((layer for layer in network.layers if layer.name == _JUDGE), network)


def _build_lstm_layers(settings: FitSettings) -> list[keras.layers.Layer]:
    """Return the hidden layers, from windows (window, step, feature) to (window, units[2]).

    The second LSTM layer returns only its last output; otherwise the network would return a score for each
    step.
    """

    def initial(layer: int) -> dict[str, keras.initializers.Initializer]:
        recurrent = settings.recurrent_initializer
        return {
            "kernel_initializer": _kernel_initializer(settings, layer),
            "recurrent_initializer": _make_initializer(
                recurrent if isinstance(recurrent, str) else recurrent[layer]
            ),
        }

    return [
        keras.layers.LSTM(settings.units[0], return_sequences=True, **initial(0)),  # (window, step, units[0])
        keras.layers.Dropout(settings.dropout[0]),
        keras.layers.LSTM(settings.units[1], **initial(1)),  # (window, units[1])
        keras.layers.Dropout(settings.dropout[1]),
        _build_relu_layer(settings, 2),
    ]


def _build_dense_layers(settings: FitSettings) -> list[keras.layers.Layer]:
    """Return the hidden layers, from windows (window, step, feature) to (window, units[2])."""
    return [
        keras.layers.Flatten(),
        _build_relu_layer(settings, 0),
        keras.layers.Dropout(settings.dropout[0]),
        _build_relu_layer(settings, 1),
        keras.layers.Dropout(settings.dropout[1]),
        _build_relu_layer(settings, 2),
    ]


def _build_relu_layer(settings: FitSettings, layer: int) -> keras.layers.Layer:
    return keras.layers.Dense(
        settings.units[layer], activation="relu", kernel_initializer=_kernel_initializer(settings, layer)
    )


def _kernel_initializer(settings: FitSettings, layer: int) -> keras.initializers.Initializer:
    """Return the initialiser of the kernel of a layer, counted among the layers that have one."""
    texts = settings.kernel_initializer
    return _make_initializer(texts if isinstance(texts, str) else texts[layer])


def _make_initializer(text: str) -> keras.initializers.Initializer:
    """Return the Keras initialiser of a text such as `he_normal` or `random_normal(0, 0.1)`."""
    name, parameters = parse_call(text)
    names = PARAMETERS[name] if parameters else ()
    return keras.initializers.get({"class_name": name, "config": dict(zip(names, parameters, strict=True))})


def get_weights(network: keras.Model) -> list[NDArray[np.float32]]:
    """Return the weight arrays of all layers, in order."""
    with capture_stderr():
        return list(network.get_weights())


def compute_scores(network: keras.Model, scaled: NDArray[np.float32]) -> FloatArray:
    """Return P(Faulty) of scaled windows (window, step, feature): (window,)."""
    with capture_stderr():
        scores = [
            network(scaled[start : start + _MAX_BATCH_SIZE], training=False).numpy()[:, 0]
            for start in range(0, len(scaled), _MAX_BATCH_SIZE)
        ]
    return np.concatenate(scores).astype(np.float64)
