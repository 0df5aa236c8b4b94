"""Network -> what a bundle holds beside the ONNX model: Keras's file, and examples that prove the other."""

import tempfile
from pathlib import Path

import numpy as np

from monitor.bundle import Golden
from monitor.bundle.scaler import Scaler
from monitor.detect.baseline import Baseline
from training.data.dataset import Dataset, concat
from training.data.recordings import NAMES
from training.network.backend import keras
from training.network.models import score
from training.network.suppress_stderr import quiet

__all__ = ["golden", "to_keras_file"]

_GOLDEN_EACH = 32


def to_keras_file(network: keras.Model) -> bytes:
    """Return the network as a `.keras` file's bytes, to go on training with or to look into."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "model.keras"
        network.save(path)
        return path.read_bytes()


def golden(network: keras.Model, scaler: Scaler, data: Dataset, baseline: Baseline | None) -> Golden:
    """Return up to 32 Normal and 32 Faulty windows from all over the data, with Keras's scores."""
    chosen = [
        rows[np.unique(np.linspace(0, len(rows) - 1, _GOLDEN_EACH).astype(int))]
        for rows in (np.flatnonzero(~data.faulty), np.flatnonzero(data.faulty))
    ]
    examples = concat([data[rows] for rows in chosen])
    scores = score(network, scaler.transform(examples.windows))
    normals = None if baseline is None else examples.normals.tolist()
    return Golden(tuple(NAMES), examples.raw.tolist(), scores.tolist(), normals)
