"""Training windows in batches, each moved as a plant moves: both sensors of a pair together."""

import math

import numpy as np
from numpy.typing import NDArray

from monitor.records import FloatArray
from training.backend import keras
from training.recordings import NAMES

__all__ = ["Batches", "pairs"]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Shuffled batches, anew in each epoch.

    A recording of some hours shows a network only so much of the day, and what comes next is warmer or
    damper than all it has seen; left alone, it may call that Faulty. So each window is moved by a random
    amount that is the same for both sensors of a pair and in all its readings: that is a plant at another
    hour, while a fault is what one sensor does and its neighbour doesn't. The label stays.

    Parameters
    ----------
    scaled : scaled windows (window, step, feature).
    faulty : their truth (window,).
    weights : how much each counts (window,).
    shift : the standard deviation of the moves, in the mean spread of the pair; 0 for none.
    scale : each feature's spread, in its own unit (feature,).
    size : windows in a batch.
    seed : of order and moves.
    """

    def __init__(
        self,
        scaled: NDArray[np.float32],
        faulty: NDArray[np.bool_],
        weights: FloatArray,
        *,
        shift: float,
        scale: FloatArray,
        size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self._scaled = scaled
        self._faulty = faulty.astype(np.float32)
        self._weights = weights.astype(np.float32)
        self._shift = shift
        self._pairs = pairs()
        # What a move of one mean spread of the pair is in each feature's own spreads.
        own = np.array([scale[self._pairs == pair].mean() for pair in self._pairs]) / scale
        self._own = own.astype(np.float32)  # (feature,)
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._order = self._rng.permutation(len(scaled))

    def __len__(self) -> int:
        return math.ceil(len(self._scaled) / self._size)

    def __getitem__(
        self, number: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        rows = self._order[number * self._size : (number + 1) * self._size]
        moves = self._rng.standard_normal((len(rows), self._pairs.max() + 1), dtype=np.float32)
        moved = self._scaled[rows] + self._shift * (moves[:, self._pairs] * self._own)[:, np.newaxis, :]
        return moved, self._faulty[rows], self._weights[rows]  # (window, step, feature), (window,) twice

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self._order = self._rng.permutation(len(self._scaled))


def pairs() -> NDArray[np.intp]:
    """Return which pair each feature belongs to (feature,): those whose names differ in the mote alone."""
    quantities = [name.rpartition("_")[0] for name in NAMES]
    return np.array([sorted(set(quantities)).index(quantity) for quantity in quantities])
