"""Scaled windows -> scores: the LSTM in ONNX Runtime. The only module that imports the runtime."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from monitor.errors import BundleError
from monitor.records import FloatArray

__all__ = ["Classifier"]

# Throughput is best between 256 and 512 windows a call: 3.9 µs a window, 4.1 with 1,024 and more.
_LARGEST_CALL = 256
# Another core pays from so many on: they take it 0.4 ms, and to hand them over 0.05.
_SMALLEST_SHARE = 64
# The model is half of all work. With more cores the other half, which is one thread's, sets the pace.
_MOST_CORES = 4


class Classifier:
    """Scores windows with a model in ONNX form, where there are many on several cores at once.

    Two cores judge 1.3 to 1.4 times as many readings a second that come in arrays, and 1.06 times as many
    that come one by one, where broker and sender take the second core.

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
        # One window is 0.06 ms of work: a second thread costs more in hand-over than it brings. Of many
        # windows each thread gets its share.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's errors share no base class of their own
            first_line = str(error).splitlines()[0]
            raise BundleError(f"model.onnx: can't be loaded: {first_line}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or not _fits(inputs[0].shape, steps, features):
            raise BundleError(
                f"model.onnx: takes {[i.shape for i in inputs]}, "
                f"expected one input (window, {steps}, {features}) with any number of windows"
            )
        if len(outputs) != 1 or list(outputs[0].shape[1:]) != [1]:
            raise BundleError(
                f"model.onnx: gives {[o.shape for o in outputs]}, expected one output (window, 1)"
            )
        self._input: str = inputs[0].name
        self._cores = min(_cores(), _MOST_CORES)
        self._pool = ThreadPoolExecutor(self._cores, "classifier")  # has no thread before it is needed

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of scaled windows (window, step, feature): (window,).

        Raises
        ------
        FloatingPointError : a score is not a number. NaN would compare as Normal, so it must not pass.
        """
        count = len(scaled)
        if not count:
            return np.empty(0)
        shares = max(-(-count // _LARGEST_CALL), min(count // _SMALLEST_SHARE, self._cores), 1)
        if shares == 1:
            scores = self._run(scaled).astype(np.float64)
        else:
            found = self._pool.map(self._run, np.array_split(scaled, shares))
            scores = np.concatenate(list(found), dtype=np.float64)
        if not np.isfinite(scores).all():
            raise FloatingPointError("the model gave a score that is not a number")
        return scores

    def _run(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of as many windows as one call takes: (window,)."""
        (result,) = self._session.run(None, {self._input: scaled})  # (window, 1)
        scores: NDArray[np.float32] = result[:, 0]
        return scores


def _fits(shape: list[int | str | None], steps: int, features: int) -> bool:
    """Say whether a model's input is (window, step, feature) with any number of windows."""
    return shape[1:] == [steps, features] and not isinstance(shape[0], int)


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
