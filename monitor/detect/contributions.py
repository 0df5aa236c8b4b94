"""Why a window is Faulty: what its score owes to each of its values, by taking them away.

A value is taken away by putting what is usual in its place; what it contributes is how far that brings the
score down, as a difference of logits. What brings the score up contributes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from monitor.core.arrays import FloatArray

__all__ = ["Contributions", "Occlusion"]

# The nearest that a score, a 32-bit number, comes to 1. Further out logits would be infinite.
_CLIP_MARGIN = 2.0**-24


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Shares in a score: they sum to 1."""

    by_feature: FloatArray | None
    """(feature,). None where neither a single value nor a whole feature brings the score down."""
    by_step: FloatArray | None
    """(step, feature). None where no single value does: often a fault fills the whole window, and each of its
    values is as bad as all. Then `by_feature` tells what all values of a feature do together."""


class Occlusion:
    """Finds contributions.

    Parameters
    ----------
    steps, features : the shape of a window.
    """

    def __init__(self, steps: int, features: int) -> None:
        cells = steps * features
        without_value = ~np.eye(cells, dtype=bool).reshape(cells, steps, features)
        without_feature = np.repeat(~np.eye(features, dtype=bool)[:, None], steps, axis=1)
        unchanged = np.ones((1, steps, features), dtype=bool)
        self._keep_mask = np.concatenate(
            [unchanged, without_value, without_feature]
        )  # (variant, step, feature)

    def explain(
        self, window: FloatArray, expected: FloatArray, score: Callable[[FloatArray], FloatArray]
    ) -> Contributions:
        """Explain the score of one window.

        Its variants are always one call of their own, so that the answer does not depend on the batch.

        Parameters
        ----------
        window : raw values (step, feature).
        expected : what stands in the place of each (step, feature).
        score : gives raw windows of this group (window, step, feature) their scores (window,).
        """
        scores = score(np.where(self._keep_mask, window, expected))  # (variant,)
        clipped = np.clip(scores, _CLIP_MARGIN, 1 - _CLIP_MARGIN)
        logits = np.log(clipped / (1 - clipped))
        drops = np.maximum(logits[0] - logits[1:], 0)
        value_drops = drops[: window.size].reshape(window.shape)  # (step, feature)
        feature_drops = drops[window.size :]  # (feature,)
        by_step = _normalize(value_drops)
        return Contributions(_normalize(feature_drops) if by_step is None else by_step.sum(axis=0), by_step)


def _normalize(drops: FloatArray) -> FloatArray | None:
    total = drops.sum()
    return drops / total if total > 0 else None
