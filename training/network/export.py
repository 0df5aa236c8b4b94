"""Network -> Keras file and golden windows, which the bundle holds beside the ONNX model.

Golden windows have Keras's scores; whoever loads the bundle checks that the ONNX model gives the same.
"""

import tempfile
from pathlib import Path

import numpy as np

from monitor.bundle import GoldenFile
from monitor.bundle.scaler import Scaler
from monitor.detect.baseline import BaselineSpec
from training.data.dataset import Dataset, concat
from training.data.features import FEATURE_NAMES
from training.network.backend import keras
from training.network.models import score
from training.network.suppress_stderr import suppress_stderr

__all__ = ["build_golden", "to_keras_file"]

_GOLDEN_PER_CLASS = 32


def to_keras_file(network: keras.Model) -> bytes:
    """Return the network as a `.keras` file, for further training and for inspection."""
    with tempfile.TemporaryDirectory() as folder, suppress_stderr():
        path = Path(folder) / "model.keras"
        network.save(path)
        return path.read_bytes()


def build_golden(
    network: keras.Model, scaler: Scaler, data: Dataset, baseline: BaselineSpec | None
) -> GoldenFile:
    """Return up to 32 Normal and 32 Faulty windows, spread evenly over the data, with Keras's scores."""
    rows_by_class = [
        rows[np.unique(np.linspace(0, len(rows) - 1, _GOLDEN_PER_CLASS).astype(int))]
        for rows in (np.flatnonzero(~data.faulty), np.flatnonzero(data.faulty))
    ]
    examples = concat([data[rows] for rows in rows_by_class])
    scores = score(network, scaler.transform(examples.windows))
    baselines = None if baseline is None else examples.baselines.tolist()
    return GoldenFile(tuple(FEATURE_NAMES), examples.raw_windows.tolist(), scores.tolist(), baselines)
