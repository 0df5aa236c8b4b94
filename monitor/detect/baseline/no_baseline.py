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
        is_true: NDArray[np.bool_] | None = None,  # noqa: ARG002, as `BaselineStage.push`
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return baselines with level 0 and unit 1 (window, 3, feature), and that all are ready (window,)."""
        baselines = np.zeros((len(groups), 3, windows.shape[2]))
        baselines[:, 1] = 1
        return baselines, np.ones(len(groups), dtype=np.bool_)

    def learn_pending(self) -> None:
        """Do nothing: there is nothing to learn."""

    def expected(self, windows: FloatArray, baselines: FloatArray) -> None:
        """Return None: without a baseline, nobody knows what the sensors should have."""

    def value_spans(self, groups: Sequence[str]) -> FloatArray:
        """Not called, as nothing is expected: return an empty array."""
        return np.empty((len(groups), 0))

    def usual_units(self, group: str, move_growth: FloatArray | float) -> None:
        """Return None: no group has units."""

    def all_usual_units(self, move_growth: FloatArray | float) -> FloatArray:  # noqa: ARG002, as `BaselineStage`
        """Return an empty array."""
        return np.empty((0, 0))

    def mark_published(self, group: str, move_growth: FloatArray | float) -> None:
        """Do nothing: there is nothing to publish."""

    def find_changed(self, move_growth: FloatArray | float) -> list[str]:  # noqa: ARG002, as `BaselineStage`
        """Return an empty list."""
        return []

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
