"""Shows the progress of a series of equal tasks: a bar on a terminal, one line per task elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["TaskProgress", "show_progress"]

_MINUTE_S = 60
_HOUR_S = 3600
# An estimate is shown in seconds below two minutes, in minutes below two hours.
_MIN_UNITS_SHOWN = 2


class TaskProgress(Protocol):
    """Receives the progress of the work."""

    def finish_task(self, note: str) -> None:
        """Count one more task as done, and show its result `note`."""

    def update(self, share: float) -> None:
        """Set the share, 0 to 1, of the current task that is done."""


@contextmanager
def show_progress(task_name: str, total: int, completed: int, console: Console) -> Iterator[TaskProgress]:
    """Yield a progress display; the terminal is restored whatever happens.

    Parameters
    ----------
    task_name : one task, e.g. "trial".
    total : tasks in all.
    completed : how many of them an earlier run has done: counted, but left out of the estimate of speed.
    console : where to show it.
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
        """Print nothing: lines are for whole tasks."""


def _format_duration(seconds: float) -> str:
    if seconds < _MIN_UNITS_SHOWN * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _MIN_UNITS_SHOWN * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"
