"""Keras callbacks that report the training progress."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.network.backend import keras

__all__ = ["EpochShareCallback", "progress_callback"]


@contextmanager
def progress_callback(epochs: int, console: Console) -> Iterator[keras.callbacks.Callback]:
    """Yield a callback that shows the progress: a bar on a terminal, else one line per epoch.

    The terminal is restored on exit, also after an exception.
    """
    if not console.is_terminal:
        yield _LineCallback(epochs, console)
        return
    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  validation {task.fields[val_loss]:.4f}"),
        TextColumn("remaining"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _BarCallback(epochs, progress)


class EpochShareCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports the completed share of the epochs after each epoch.

    Parameters
    ----------
    epochs : maximum number of epochs of the training.
    on_progress : called with the completed share, above 0 and at most 1.
    """

    def __init__(self, epochs: int, on_progress: Callable[[float], None]) -> None:
        super().__init__()
        self._epochs = epochs
        self._on_progress = on_progress

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002 - Keras passes them
        """Report the completed share of the epochs."""
        self._on_progress((epoch + 1) / self._epochs)


class _BarCallback(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, epochs: int, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task("training", total=epochs, loss=math.nan, val_loss=math.nan)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self._progress.update(self._task, completed=epoch + 1, loss=logs["loss"], val_loss=logs["val_loss"])


class _LineCallback(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, epochs: int, console: Console) -> None:
        super().__init__()
        self._epochs = epochs
        self._console = console
        self._started_at = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        epochs_done = epoch + 1
        remaining = (time.monotonic() - self._started_at) / epochs_done * (self._epochs - epochs_done)
        self._console.print(
            f"epoch {epochs_done}/{self._epochs}  loss {logs['loss']:.4f}  "
            f"validation {logs['val_loss']:.4f}  remaining {remaining:.0f} s at most"
        )
