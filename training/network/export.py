"""Exports a network as Keras file and golden windows, which are stored in the bundle with the ONNX model.

Golden windows are examples with the scores computed by Keras. When a bundle is loaded, the scores of the ONNX
model are compared with them.
"""

import tempfile
from pathlib import Path

import numpy as np

from monitor.bundle import GoldenFile, Manifest
from monitor.bundle.scaler import Scaler
from training.data.dataset import Dataset, concat
from training.network.backend import keras
from training.network.capture_stderr import capture_stderr
from training.network.models import compute_scores

__all__ = ["build_golden", "to_keras_file"]

_GOLDEN_WINDOWS_PER_CLASS = 32


def to_keras_file(network: keras.Model) -> bytes:
    """Return the bytes of the network as a `.keras` file, for further training and inspection."""
    with tempfile.TemporaryDirectory() as folder, capture_stderr():
        path = Path(folder) / "model.keras"
        network.save(path)
        return path.read_bytes()


def build_golden(network: keras.Model, scaler: Scaler, data: Dataset, manifest: Manifest) -> GoldenFile:
    """Select up to 32 Normal and 32 Faulty windows, evenly spaced in the data, and score them with Keras."""
    rows_by_class = [
        rows[np.unique(np.linspace(0, len(rows) - 1, _GOLDEN_WINDOWS_PER_CLASS).astype(int))]
        for rows in (np.flatnonzero(~data.faulty), np.flatnonzero(data.faulty))
    ]
    examples = concat([data[rows] for rows in rows_by_class])
    scores = compute_scores(network, scaler.transform(examples.windows))
    baselines = None if manifest.baseline is None else examples.baselines.tolist()
    return GoldenFile(manifest.feature_names, examples.raw_windows.tolist(), scores.tolist(), baselines)
