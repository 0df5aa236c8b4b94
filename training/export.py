"""Network -> what a bundle holds beside the ONNX model: Keras's file, and examples that prove the other."""

import tempfile
from pathlib import Path

import numpy as np

from monitor.bundle import Golden
from monitor.scaler import Scaler
from training.backend import keras
from training.dataset import Dataset
from training.network import score
from training.quiet import quiet
from training.recordings import NAMES

__all__ = ["golden", "to_keras_file"]

_GOLDEN_EACH = 32


def to_keras_file(network: keras.Model) -> bytes:
    """Return the network as a `.keras` file's bytes, to go on training with or to look into."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "model.keras"
        network.save(path)
        return path.read_bytes()


def golden(network: keras.Model, scaler: Scaler, data: Dataset) -> Golden:
    """Return up to 32 Normal and 32 Faulty windows from all over the data, with Keras's scores."""
    chosen = [
        rows[np.unique(np.linspace(0, len(rows) - 1, _GOLDEN_EACH).astype(int))]
        for rows in (np.flatnonzero(~data.faulty), np.flatnonzero(data.faulty))
    ]
    windows = data.windows[np.concatenate(chosen)]  # (window, step, feature)
    scores = score(network, scaler.transform(windows))
    return Golden(tuple(NAMES), windows.tolist(), scores.tolist())
