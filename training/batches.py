"""Training windows in batches, each moved as a plant moves: both sensors of a pair together."""

import math

import numpy as np
from numpy.typing import NDArray

from monitor.records import FloatArray
from training.backend import keras
from training.recordings import NAMES

__all__ = ["Batches", "Moves", "pairs"]


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


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Shuffled batches, anew in each epoch, each window moved and its label kept.

    Parameters
    ----------
    scaled : scaled windows (window, step, feature).
    faulty : their truth (window,).
    weights : how much each counts (window,).
    moves : how windows are moved.
    size : windows in a batch.
    seed : of order and moves.
    """

    def __init__(
        self,
        scaled: NDArray[np.float32],
        faulty: NDArray[np.bool_],
        weights: FloatArray,
        *,
        moves: Moves,
        size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self._scaled = scaled
        self._faulty = faulty.astype(np.float32)
        self._weights = weights.astype(np.float32)
        self._moves = moves
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._order = self._rng.permutation(len(scaled))

    def __len__(self) -> int:
        return math.ceil(len(self._scaled) / self._size)

    def __getitem__(
        self, number: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        rows = self._order[number * self._size : (number + 1) * self._size]
        moved = self._moves.move(self._scaled[rows], self._rng)
        return moved, self._faulty[rows], self._weights[rows]  # (window, step, feature), (window,) twice

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self._order = self._rng.permutation(len(self._scaled))


def pairs() -> NDArray[np.intp]:
    """Return which pair each feature belongs to (feature,): those whose names differ in the mote alone."""
    quantities = [name.rpartition("_")[0] for name in NAMES]
    return np.array([sorted(set(quantities)).index(quantity) for quantity in quantities])
