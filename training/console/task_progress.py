"""Show how far a row of equal tasks is: a bar on a terminal, a line a task elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["TaskProgress", "show_progress"]

_MINUTE_S = 60
_HOUR_S = 3600
# Below two minutes an estimate is read best in seconds, below two hours in minutes.
_MIN_UNITS_SHOWN = 2


class TaskProgress(Protocol):
    """What is told how the work goes."""

    def finish_task(self, note: str) -> None:
        """Say that one more task is done, and what came of it."""

    def update(self, share: float) -> None:
        """Say which share, 0 to 1, of the present task is done."""


@contextmanager
def show_progress(task_name: str, total: int, completed: int, console: Console) -> Iterator[TaskProgress]:
    """Yield what is to be told of each task; the terminal is left in order whatever happens.

    Parameters
    ----------
    task_name : one task, e.g. "trial".
    total : tasks in all.
    completed : how many of them an earlier run has done: they count, but tell nothing of today's speed.
    console : the console to show it on.
    """
    if not console.is_terminal:
        yield _LineProgress(task_name, total, completed, console)
        return
    columns = (
        TextColumn(task_name),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=_HOUR_S) as progress:
        yield _BarProgress(task_name, total, completed, progress)


class _BarProgress:
    def __init__(self, task_name: str, total: int, completed: int, progress: Progress) -> None:
        self._task_name, self._total, self._completed, self._progress = task_name, total, completed, progress
        self._task = progress.add_task(task_name, total=total, completed=completed)

    def finish_task(self, note: str) -> None:
        self._completed += 1
        self._progress.update(self._task, completed=self._completed)
        if note:
            self._progress.console.print(f"{self._task_name} {self._completed}/{self._total}  {note}")

    def update(self, share: float) -> None:
        self._progress.update(self._task, completed=self._completed + share)


class _LineProgress:
    def __init__(self, task_name: str, total: int, completed: int, console: Console) -> None:
        self._task_name, self._total, self._completed, self._console = task_name, total, completed, console
        self._initially_completed = completed
        self._started_at = time.monotonic()

    def finish_task(self, note: str) -> None:
        self._completed += 1
        seconds_per_task = (time.monotonic() - self._started_at) / (
            self._completed - self._initially_completed
        )
        line = f"{self._task_name} {self._completed}/{self._total}  {note}".rstrip()
        self._console.print(
            f"{line}  remaining {_format_duration(seconds_per_task * (self._total - self._completed))}"
        )

    def update(self, share: float) -> None:
        """Print nothing: a line is for a whole task."""


def _format_duration(seconds: float) -> str:
    if seconds < _MIN_UNITS_SHOWN * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _MIN_UNITS_SHOWN * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"
