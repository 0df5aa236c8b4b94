"""The smallest offset of one sensor that a model with a baseline calls Faulty."""

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.model_input import build_transform
from monitor.bundle.verified import Bundle
from monitor.core.arrays import FloatArray

__all__ = ["find_smallest_offsets"]

# Offsets that are tried first, in units of the baseline: each is 19 % larger than the one before. Then come
# fine steps between the largest that is missed and the next.
_OFFSETS = 2.0 ** np.arange(-2, 8.01, 0.25)
_FINE_STEPS = np.linspace(0, 1, 17)[1:]


def find_smallest_offsets(bundle: Bundle) -> FloatArray:
    """Return for each feature the offset from which on it is Faulty, in units of the baseline: (feature,).

    All other sensors, and the sensor before the offset, are where the baseline expects them. An offset is
    Faulty if some window is whose last one, two, ... readings have it, be it added or subtracted. The result
    is infinite for a feature whose offsets don't show however large they are.

    Parameters
    ----------
    bundle : a bundle with a baseline.
    """
    features = len(bundle.manifest.features)
    coarse = np.broadcast_to(_OFFSETS, (features, len(_OFFSETS)))
    is_found = _find_faulty(bundle, coarse)  # (feature, offset)
    found_from_here = np.logical_and.accumulate(is_found[:, ::-1], axis=1)[:, ::-1]
    first = found_from_here.argmax(axis=1)  # (feature,)
    upper = _OFFSETS[first]
    lower = np.where(first > 0, _OFFSETS[np.maximum(first - 1, 0)], 0.0)
    fine = lower[:, None] + (upper - lower)[:, None] * _FINE_STEPS
    smallest = fine[np.arange(features), _find_faulty(bundle, fine).argmax(axis=1)]
    return np.where(found_from_here.any(axis=1), smallest, np.inf)


def _find_faulty(bundle: Bundle, offsets: FloatArray) -> NDArray[np.bool_]:
    """Return whether offsets (feature, offset) in units are called Faulty: (feature, offset)."""
    manifest = bundle.manifest
    features, count = offsets.shape
    last_readings = np.tri(manifest.steps)[:, ::-1]  # (pattern, step)
    signed = offsets[:, :, None] * np.array([1.0, -1.0])  # (feature, offset, sign)
    of_sensor = signed[..., None, None] * last_readings  # (feature, offset, sign, pattern, step)
    windows = of_sensor[..., None] * np.eye(features)[:, None, None, None, None]  # (..., step, feature)
    windows = windows.reshape(-1, manifest.steps, features)
    at_rest = np.zeros((len(windows), 3, features))  # level, unit and last block
    at_rest[:, 1] = 1
    transform = build_transform(
        manifest.quantities, has_baseline=True, move_growth=bundle.move_growth, judges=manifest.judges
    )
    scores = bundle.classifier.score(bundle.scaler.transform(transform.transform(windows, at_rest)))
    is_faulty = np.reshape(scores > manifest.threshold, (features, count, 2, manifest.steps))
    result: NDArray[np.bool_] = np.logical_and.reduce(is_faulty.any(axis=3), axis=2)
    return result
