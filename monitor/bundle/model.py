"""Scaled windows -> scores: the LSTM in ONNX Runtime. The only module that imports the runtime."""

import math

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.errors import BundleError

__all__ = ["Classifier"]

# Throughput is best between 256 and 512 windows a call: 3.9 µs a window, 4.1 with 1,024 and more.
_MAX_WINDOWS_PER_CALL = 512


class Classifier:
    """Scores windows with a model in ONNX form.

    Parameters
    ----------
    model : the ONNX file's bytes.
    steps, features : the shape of a window, checked against the model's input.

    Raises
    ------
    BundleError : the bytes are no model, or one for another window shape.
    """

    def __init__(self, model: bytes, steps: int, features: int) -> None:
        options = ort.SessionOptions()
        # One window is 0.06 ms of work: a second thread costs more in hand-over than it brings.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's errors share no base class of their own
            first_line = str(error).splitlines()[0]
            raise BundleError(f"model.onnx: can't be loaded: {first_line}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or not _matches_shape(inputs[0].shape, steps, features):
            raise BundleError(
                f"model.onnx: takes {[i.shape for i in inputs]}, "
                f"expected one input (window, {steps}, {features}) with any number of windows"
            )
        if len(outputs) != 1 or list(outputs[0].shape[1:]) != [1]:
            raise BundleError(
                f"model.onnx: gives {[o.shape for o in outputs]}, expected one output (window, 1)"
            )
        self._input_name: str = inputs[0].name
        self._output_names: list[str] = [outputs[0].name]

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of scaled windows (window, step, feature): (window,).

        Raises
        ------
        FloatingPointError : a score is not a number. NaN would compare as Normal, so it must not pass.
        """
        scores = np.empty(len(scaled), dtype=np.float64)
        for start in range(0, len(scaled), _MAX_WINDOWS_PER_CALL):
            part = scaled[start : start + _MAX_WINDOWS_PER_CALL]
            (result,) = self._session.run(self._output_names, {self._input_name: part})  # (window, 1)
            scores[start : start + len(part)] = result[:, 0]
        if not math.isfinite(scores.sum()):  # what is finite lies between 0 and 1
            raise FloatingPointError("the model gave a score that is not a number")
        return scores


def _matches_shape(shape: list[int | str | None], steps: int, features: int) -> bool:
    """Say whether a model's input is (window, step, feature) with any number of windows."""
    return shape[1:] == [steps, features] and not isinstance(shape[0], int)
