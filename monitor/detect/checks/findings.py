"""What the checks found in a batch of windows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import IndexArray

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The windows of a batch in which a check found something."""

    is_empty: bool
    """Whether it is certain that nothing was found in any window."""
    detectors: NDArray[np.uint8]
    """Code of the check that found something in each window, see `Detector`; `Detector.NONE`: none did:
    (window,)."""
    is_true: NDArray[np.bool_] | None
    """Whether all values of a window can be true, as far as `limits` knows: (window,). None if that is so of
    all windows."""
    open_windows: IndexArray
    """Windows of groups in which a sensor is flat or has drifted, in ascending order: (open,)."""
    open_records: NDArray[Any]
    """State of the group of each of them, after the window: (open,)."""

    def record(self, index: int) -> Any:
        """Return the state of a window's group, which is one of `open_windows`."""
        return self.open_records[int(self.open_windows.searchsorted(index))]
