"""The losses of a training, epoch by epoch."""

from collections.abc import Mapping, Sequence

__all__ = ["best_epoch"]


def best_epoch(history: Mapping[str, Sequence[float]]) -> int:
    """Return the epoch with the lowest `val_loss`, counted from 1: the one whose weights are kept."""
    losses = history["val_loss"]
    return min(range(len(losses)), key=losses.__getitem__) + 1
