"""Windows moved as a plant moves: both sensors of a pair together."""

import numpy as np
from numpy.typing import NDArray

from monitor.records import FloatArray
from training.recordings import NAMES

__all__ = ["Moves", "pairs"]


class Moves:
    """Moves windows as a plant moves: both sensors of a pair, in all readings of a window, alike.

    A recording of some hours shows only so much of the day, and what comes next is warmer or damper than all
    that was in it; left alone, a network may call that Faulty. So each window is moved by a random amount
    that is the same for both sensors of a pair: that is a plant at another hour, while a fault is what one
    sensor does and its neighbour doesn't.

    Parameters
    ----------
    shift : the standard deviation of the moves, in the mean spread of the pair; 0 for none.
    scale : each feature's spread, in its own unit (feature,).
    """

    def __init__(self, shift: float, scale: FloatArray) -> None:
        self._pairs = pairs()
        # What a move of one mean spread of the pair is in each feature's own spreads.
        own = np.array([scale[self._pairs == pair].mean() for pair in self._pairs]) / scale
        self._own = (shift * own).astype(np.float32)  # (feature,)

    def move(self, scaled: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Return scaled windows (window, step, feature), each moved by amounts of its own."""
        moves = rng.standard_normal((len(scaled), self._pairs.max() + 1), dtype=np.float32)
        moved: NDArray[np.float32] = scaled + (moves[:, self._pairs] * self._own)[:, np.newaxis, :]
        return moved


def pairs() -> NDArray[np.intp]:
    """Return which pair each feature belongs to (feature,): those whose names differ in the mote alone."""
    quantities = [name.rpartition("_")[0] for name in NAMES]
    return np.array([sorted(set(quantities)).index(quantity) for quantity in quantities])
