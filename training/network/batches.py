"""Shuffled and augmented batches of training windows."""

import math

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from training.network.augmentation import Augmentation
from training.network.backend import keras

__all__ = ["Batches"]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of training windows, shuffled and augmented anew in each epoch.

    Parameters
    ----------
    scaled : scaled windows (window, step, feature).
    faulty : the true labels of the windows (window,).
    weights : weight of each window in the loss (window,).
    augmentation : applied to each batch; None for no augmentation.
    batch_size : number of windows in a batch.
    seed : seed of the order and of the augmentation.
    """

    def __init__(
        self,
        scaled: NDArray[np.float32],
        faulty: NDArray[np.bool_],
        weights: FloatArray,
        *,
        augmentation: Augmentation | None,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self._scaled = scaled
        self._faulty = faulty.astype(np.float32)
        self._weights = weights.astype(np.float32)
        self._augmentation = augmentation
        self._batch_size = batch_size
        self._rng = np.random.default_rng(seed)
        self._order = self._rng.permutation(len(scaled))

    def __len__(self) -> int:
        return math.ceil(len(self._scaled) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        scaled = self._scaled[rows]
        augmented = (
            self._augmentation.augment(scaled, self._faulty[rows] > 0, self._rng)
            if self._augmentation
            else scaled
        )
        # Shapes: (window, step, feature), (window,), (window,).
        return augmented, self._faulty[rows], self._weights[rows]

    def on_epoch_end(self) -> None:
        """Shuffle the windows for the next epoch."""
        self._order = self._rng.permutation(len(self._scaled))
