"""Shows the progress of a series of similar tasks: a bar on a terminal, else one line per task."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["TaskProgress", "show_progress"]

_MINUTE_S = 60
_HOUR_S = 3600
# A remaining time below two minutes is shown in seconds, below two hours in minutes, else in hours.
_MIN_UNITS_SHOWN = 2


class TaskProgress(Protocol):
    """Interface through which the tasks report their progress."""

    def finish_task(self, note: str) -> None:
        """Count the current task as finished, and show `note`, a text about its result."""

    def update(self, share: float) -> None:
        """Set the completed share of the current task, from 0 to 1."""


@contextmanager
def show_progress(task_name: str, total: int, completed: int, console: Console) -> Iterator[TaskProgress]:
    """Yield a progress display; the terminal is restored on exit, also after an exception.

    Parameters
    ----------
    task_name : name of one task, such as "trial".
    total : number of tasks, including those completed before.
    completed : number of tasks that an earlier run has completed. They are counted, but not used to estimate
        the remaining time.
    console : the console to print to.
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
        """Do nothing: a line is printed for finished tasks only."""


def _format_duration(seconds: float) -> str:
    if seconds < _MIN_UNITS_SHOWN * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _MIN_UNITS_SHOWN * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"
