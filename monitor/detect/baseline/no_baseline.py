"""Replacement of the baseline stage for a bundle without baseline."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["NoBaseline"]


class NoBaseline:
    """A baseline stage without state, whose baselines leave windows unchanged."""

    def push(
        self,
        groups: Sequence[str],
        windows: FloatArray,
        ts: FloatArray,  # noqa: ARG002, as `BaselineStage.push`
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return baselines with level 0 and unit 1 (window, 3, feature), and that all are ready (window,)."""
        baselines = np.zeros((len(groups), 3, windows.shape[2]))
        baselines[:, 1] = 1
        return baselines, np.ones(len(groups), dtype=np.bool_)

    def learn_pending(self) -> None:
        """Do nothing: there is nothing to learn."""

    def expected(self, window: FloatArray, baseline: FloatArray) -> None:
        """Return None: without a baseline, the caller uses the training means as expected values."""

    def groups(self) -> list[str]:
        """Return an empty list: no group has state."""
        return []

    def dump(self, group: str) -> bytes:  # noqa: ARG002, as `BaselineStage.dump`
        """Return an empty value."""
        return b""

    def load(self, group: str, value: bytes) -> None:
        """Ignore the value, which may come from a bundle with a baseline."""

    def forget(self, group: str) -> None:
        """Do nothing: no group has state."""
