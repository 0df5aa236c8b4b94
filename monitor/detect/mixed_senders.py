"""Finds groups in which two senders are mixed up: their readings alternate between two levels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["MixedSenders"]

_STEPS = 3
# The third reading is where the first was, to within this share of the step to the second. Of readings that
# are noise about one level, one in eight is so by chance, and one in sixty in two features at once.
_MAX_RETURN_ERROR = 0.25
_MIN_FEATURES = 2
# A window that alternates is a point for its group, one that doesn't takes two away: only a group in which
# more than two thirds of the windows alternate gets there.
_SCORE_TO_REPORT = 20
_PENALTY = 2
# Windows that are looked at in one call, and groups that are remembered.
_MAX_WINDOWS = 256
_MAX_GROUPS = 1000


class MixedSenders:
    """Looks at samples of windows, and names each group once in which two senders are mixed up."""

    def __init__(self) -> None:
        self._scores: dict[str, int] = {}  # of groups with a point at least
        self._reported: set[str] = set()

    def find(self, groups: Sequence[str], values: FloatArray) -> list[str]:
        """Return the groups that are found with these windows.

        Parameters
        ----------
        groups : of the windows: (window,).
        values : raw values: (window, step, feature).
        """
        if values.shape[1] < _STEPS:
            return []
        found = []
        alternates, moves = _compare_steps(values[:_MAX_WINDOWS, -_STEPS:])
        for row in np.flatnonzero(moves).tolist():
            group = groups[row]
            if alternates[row]:
                if self._add_point(group):
                    found.append(group)
            elif group in self._scores:
                self._scores[group] -= _PENALTY
                if self._scores[group] <= 0:
                    del self._scores[group]
        return found

    def forget(self, group: str) -> None:
        """Remove what is known of a group."""
        self._scores.pop(group, None)
        self._reported.discard(group)

    def _add_point(self, group: str) -> bool:
        """Return whether the group is to be named now."""
        if group in self._reported or len(self._reported) >= _MAX_GROUPS:
            return False
        score = self._scores.get(group, 0) + 1
        if score < _SCORE_TO_REPORT:
            if group in self._scores or len(self._scores) < _MAX_GROUPS:
                self._scores[group] = score
            return False
        del self._scores[group]
        self._reported.add(group)
        return True


def _compare_steps(values: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return of three readings (window, step, feature) which alternate, and which move enough to tell.

    Returns
    -------
    alternates, moves : (window,).
    """
    step = np.abs(values[:, 1] - values[:, 0])  # (window, feature)
    return_error = np.abs(values[:, 2] - values[:, 0])  # (window, feature)
    has_moved = (step > 0) | (return_error > 0)
    returns = return_error <= _MAX_RETURN_ERROR * step
    moves = np.count_nonzero(has_moved, axis=1) >= _MIN_FEATURES
    return moves & (returns | ~has_moved).all(axis=1), moves
