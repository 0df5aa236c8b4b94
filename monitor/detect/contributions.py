"""Contribution of each value of a window to its score, by occlusion.

A value's contribution is the drop in the score's logit when the value is replaced by the expected value. A
value whose replacement raises the score contributes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from monitor.core.arrays import FloatArray

__all__ = ["Contributions", "Occlusion"]

# Distance from 1 of the float32 nearest to 1. A score of exactly 0 or 1 would have an infinite logit.
_CLIP_MARGIN = 2.0**-24


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Shares of a window's values in its score. Each array sums to 1."""

    by_feature: FloatArray | None
    """Share of each feature: (feature,). None if replacing neither a single value nor a whole feature lowers
    the score."""
    by_step: FloatArray | None
    """Share of each value: (step, feature). None if replacing a single value never lowers the score: often a
    fault fills the whole window, and any of its values is enough for a high score. Then `by_feature` comes
    from replacing all values of a feature together."""


class Occlusion:
    """Computes contributions by replacing values and scoring the changed windows.

    Parameters
    ----------
    steps, features : the shape of a window.
    """

    def __init__(self, steps: int, features: int) -> None:
        cells = steps * features
        without_value = ~np.eye(cells, dtype=bool).reshape(cells, steps, features)
        without_feature = np.repeat(~np.eye(features, dtype=bool)[:, None], steps, axis=1)
        unchanged = np.ones((1, steps, features), dtype=bool)
        # True where a variant of the window keeps the original value: (variant, step, feature).
        self._keep_mask = np.concatenate([unchanged, without_value, without_feature])

    def explain(
        self, window: FloatArray, expected: FloatArray, score: Callable[[FloatArray], FloatArray]
    ) -> Contributions:
        """Compute the contributions to the score of one window.

        All variants of the window are scored in one separate call, so that the result does not depend on
        which other windows are in the batch.

        Parameters
        ----------
        window : raw values (step, feature).
        expected : the values that replace them (step, feature).
        score : returns the scores (window,) of raw windows (window, step, feature) of the same group.
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
    """Return the drops divided by their sum; None if all are 0."""
    total = drops.sum()
    return drops / total if total > 0 else None
