"""Finds out that values come and no reading can be made of them, and which features are missing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["MissingFeatures"]

# Sampling times without a reading that a group must have had: of the first one after a start, the monitor has
# seen a part only.
_MIN_SAMPLES = 3
# Seconds that they must span, and if there was a reading before: then the sensors of a slow plant may pause.
_START_SPAN_S = 5.0
_SPAN_S = 30.0


class MissingFeatures:
    """Follows the sampling times without a reading since the last reading. Times are monotonic seconds.

    Parameters
    ----------
    features : names of the features, in the bundle's order.
    max_groups : groups that are followed.
    """

    def __init__(self, features: Sequence[str], max_groups: int) -> None:
        self._features = features
        self._max_groups = max_groups
        self._had_reading = False
        self._first_at = self._last_at = 0.0
        self._samples: dict[str, int] = {}  # group -> sampling times without a reading
        # Group -> which features were missing at the last of them: (feature,).
        self._is_stale: dict[str, NDArray[np.bool_]] = {}

    def restart(self) -> None:
        """Begin again, because a reading was made."""
        self._had_reading = True
        if self._samples:
            self._samples.clear()
            self._is_stale.clear()

    def add(self, groups: Sequence[str], is_stale: NDArray[np.bool_], now: float) -> None:
        """Add the sampling times without a reading of a batch in which no reading was made.

        Parameters
        ----------
        groups : group of each sampling time (sample,).
        is_stale : which features were absent or too old: (sample, feature).
        """
        if not groups:
            return
        if not self._samples:
            self._first_at = now
        self._last_at = now
        for group, stale in zip(groups, is_stale, strict=True):
            if group in self._samples or len(self._samples) < self._max_groups:
                self._samples[group] = self._samples.get(group, 0) + 1
                self._is_stale[group] = stale

    @property
    def is_problem(self) -> bool:
        """Whether no reading was made for so long that this isn't the beginning."""
        span = _SPAN_S if self._had_reading else _START_SPAN_S
        is_long = self._last_at - self._first_at >= span
        return is_long and max(self._samples.values(), default=0) >= _MIN_SAMPLES

    def describe(self, ages: FloatArray) -> str:
        """Return why no reading can be made.

        Parameters
        ----------
        ages : of the newest value of each feature (group, feature); NaN where there is none.
        """
        has_value = ~np.isnan(ages)
        active = int(np.count_nonzero(has_value.any(axis=1)))
        stale_counts = np.sum(list(self._is_stale.values()), axis=0).tolist()  # (feature,)
        at_least = "at least " if len(self._is_stale) == self._max_groups else ""
        texts = []
        for index, (name, count) in enumerate(zip(self._features, stale_counts, strict=True)):
            if count and not has_value[:, index].any():
                texts.append(f"{name} has never come in {_count_groups(active)}")
            elif count:
                texts.append(f"{name} has no usable value in {at_least}{_count_groups(count)}")
        return f"no reading can be made: {', '.join(texts)}"


def _count_groups(count: int) -> str:
    return f"{count:,} group{'' if count == 1 else 's'}"
