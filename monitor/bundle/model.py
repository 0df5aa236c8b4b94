"""The LSTM in ONNX Runtime: scaled windows -> scores. No other module imports ONNX Runtime."""

import math
from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import Judges
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.errors import BundleError
from monitor.core.quantities import Quantities

__all__ = ["MAX_WINDOWS_PER_CALL", "Classifier", "find_sensors"]

# Throughput is highest with 256 to 512 windows per call: 3.9 µs per window; 4.1 µs with 1,024 and more.
# A small network that judges single sensors takes equally long per sensor with 512 and with 2,048.
MAX_WINDOWS_PER_CALL = 512
"""Windows that are scored at once."""


class Classifier:
    """Scores windows with an ONNX model.

    Parameters
    ----------
    model : content of the ONNX file.
    steps, features : the shape of a window, to be checked against the model's input.
    sensors : for a model that judges one sensor at a time, the features that it judges (sensor,); the
        highest of their scores is the window's. None: the model judges the window.

    Raises
    ------
    BundleError : the content is not a valid model, or the model is for windows of another shape.
    """

    def __init__(self, model: bytes, steps: int, features: int, sensors: IndexArray | None = None) -> None:
        import onnxruntime as ort  # noqa: PLC0415 - takes 0.1 s, and many commands don't score

        options = ort.SessionOptions()
        # By default a file whose first bytes say so is taken in another format, which isn't checked.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # One window takes 0.06 ms: passing work to a second thread costs more than it saves.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            first_line = str(error).splitlines()[0]
            raise BundleError(f"model.onnx: can't be loaded: {first_line}") from error
        self._sensors = sensors
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        width = features if sensors is None else 1
        if len(inputs) != 1 or not _matches_shape(inputs[0].shape, steps, width):
            raise BundleError(
                f"model.onnx: takes {[i.shape for i in inputs]}, "
                f"expected one input (window, {steps}, {width}) with any number of windows"
            )
        if len(outputs) != 1 or list(outputs[0].shape[1:]) != [1]:
            raise BundleError(
                f"model.onnx: gives {[o.shape for o in outputs]}, expected one output (window, 1)"
            )
        self._input_name: str = inputs[0].name
        self._output_names: list[str] = [outputs[0].name]

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of each window: (window,).

        Parameters
        ----------
        scaled : scaled windows (window, step, feature).

        Raises
        ------
        FloatingPointError : a score is NaN, which would compare as Normal.
        """
        if self._sensors is None:
            return self._run(scaled)
        by_sensor = scaled.take(self._sensors, axis=2).swapaxes(1, 2)  # (window, sensor, step)
        windows, sensors, steps = by_sensor.shape
        scores = self._run(by_sensor.reshape(windows * sensors, steps, 1))
        highest: FloatArray = scores.reshape(windows, sensors).max(axis=1)
        return highest

    @property
    def judges_sensors(self) -> bool:
        """Whether the model judges one sensor at a time."""
        return self._sensors is not None

    def for_sensors(self, sensors: IndexArray) -> "Classifier":
        """Return a classifier with the same model for windows of other features.

        Parameters
        ----------
        sensors : as for the constructor.
        """
        other = copy(self)
        other._sensors = sensors  # noqa: SLF001, one class
        return other

    def _run(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return the model's score of each of its inputs: (window,)."""
        scores = np.empty(len(scaled), dtype=np.float64)
        for start in range(0, len(scaled), MAX_WINDOWS_PER_CALL):
            part = scaled[start : start + MAX_WINDOWS_PER_CALL]
            (result,) = self._session.run(self._output_names, {self._input_name: part})  # (window, 1)
            scores[start : start + len(part)] = result[:, 0]
        if not math.isfinite(scores.sum()):  # can't overflow: finite scores are between 0 and 1
            raise FloatingPointError("the model gave a score that is not a number")
        return scores


def find_sensors(judges: Judges, quantities: Sequence[str]) -> IndexArray | None:
    """Return the features that a model of single sensors judges (sensor,); None for a model of windows.

    Parameters
    ----------
    judges : as in the manifest.
    quantities : the quantity of each feature (feature,).
    """
    return Quantities(quantities).representatives if judges == "sensor" else None


def _matches_shape(shape: list[int | str | None], steps: int, features: int) -> bool:
    """Return whether the shape of a model's input is (any number of windows, `steps`, `features`)."""
    return shape[1:] == [steps, features] and not isinstance(shape[0], int)
