"""Verifies that a bundle's model gives the same scores as in training."""

import numpy as np

from monitor.bundle.manifest import GoldenFile, Manifest
from monitor.bundle.model import Classifier
from monitor.bundle.model_input import build_transform
from monitor.bundle.parse import golden_baselines, golden_windows
from monitor.bundle.scaler import Scaler
from monitor.core.errors import BundleError

__all__ = ["GOLDEN_TOLERANCE", "check_golden"]

GOLDEN_TOLERANCE = 1e-5
"""Largest accepted difference of a golden score. ONNX Runtime and Keras differ by rounding errors of about
6e-8; 1e-5 is far above that and far below the effect of a real change."""


def check_golden(golden: GoldenFile, manifest: Manifest, scaler: Scaler, classifier: Classifier) -> None:
    """Score the golden windows, and compare with the scores that Keras computed in training.

    Raises
    ------
    BundleError : a score differs by more than `GOLDEN_TOLERANCE`, or the windows can't be scored.
    """
    transform = build_transform(
        manifest.quantities, has_baseline=manifest.baseline is not None, judges=manifest.judges
    ).transform
    try:
        deviations = transform(golden_windows(golden), golden_baselines(golden))
        scores = classifier.score(scaler.transform(deviations))
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise BundleError(f"model.onnx: can't score the golden windows: {error}".splitlines()[0]) from error
    worst = float(np.abs(scores - np.array(golden.scores)).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise BundleError(
            f"golden.json: the model's scores differ from training's by up to {worst:.2g}, "
            f"expected at most {GOLDEN_TOLERANCE:g}"
        )
