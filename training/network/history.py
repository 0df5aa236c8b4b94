"""Evaluates the history of a training, that is the losses of all epochs."""

from collections.abc import Mapping, Sequence

__all__ = ["find_best_epoch"]


def find_best_epoch(history: Mapping[str, Sequence[float]]) -> int:
    """Return the number, from 1, of the epoch with the lowest `val_loss`; training keeps its weights."""
    losses = history["val_loss"]
    return min(range(len(losses)), key=losses.__getitem__) + 1
