"""Show how far training is: a bar on a terminal, a line an epoch elsewhere."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.network.backend import keras

__all__ = ["make_console", "progress_callback"]


def make_console() -> Console:
    """Return what prints to stdout, and knows whether that is a terminal."""
    return Console(highlight=False, markup=False, soft_wrap=True)


@contextmanager
def progress_callback(epochs: int, console: Console) -> Iterator[keras.callbacks.Callback]:
    """Yield what Keras is to call after each epoch; the terminal is left in order whatever happens."""
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
            f"epoch {epochs_done}/{self._epochs}  loss {logs['loss']:.4f}  validation {logs['val_loss']:.4f}  "
            f"remaining {remaining:.0f} s at most"
        )
