"""In the baseline stage's place, where a bundle has none."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["NoBaseline"]


class NoBaseline:
    """Shows windows as they come, and remembers nothing."""

    def push(self, groups: Sequence[str], windows: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return levels 0 and units 1 for each, and that all are ready."""
        baselines = np.zeros((len(groups), 3, windows.shape[2]))
        baselines[:, 1] = 1
        return baselines, np.ones(len(groups), dtype=np.bool_)

    def learn_pending(self) -> None:
        """Learn nothing."""

    def expected(self, window: FloatArray, baseline: FloatArray) -> None:
        """Return nothing: what is usual is the training mean."""

    def groups(self) -> list[str]:
        """Return none."""
        return []

    def dump(self, group: str) -> bytes:  # noqa: ARG002 - as the stage's
        """Return nothing."""
        return b""

    def load(self, group: str, value: bytes) -> None:
        """Let go of what a bundle with a baseline knew."""

    def forget(self, group: str) -> None:
        """Know nothing."""
