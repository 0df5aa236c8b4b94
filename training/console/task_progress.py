"""Show how far a row of equal tasks is: a bar on a terminal, a line a task elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Countdown", "counted"]

_MINUTE_S = 60
_HOUR_S = 3600
# Below two minutes an estimate is read best in seconds, below two hours in minutes.
_FEW = 2


class Countdown(Protocol):
    """What is told how the work goes."""

    def done(self, note: str) -> None:
        """Say that one more task is done, and what came of it."""

    def part(self, share: float) -> None:
        """Say which share, 0 to 1, of the present task is done."""


@contextmanager
def counted(what: str, total: int, before: int, where: Console) -> Iterator[Countdown]:
    """Yield what is to be told of each task; the terminal is left in order whatever happens.

    Parameters
    ----------
    what : one task, e.g. "trial".
    total : tasks in all.
    before : how many of them an earlier run has done: they count, but tell nothing of today's speed.
    where : the console to show it on.
    """
    if not where.is_terminal:
        yield _Lines(what, total, before, where)
        return
    columns = (
        TextColumn(what),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=where, speed_estimate_period=_HOUR_S) as progress:
        yield _Bar(what, total, before, progress)


class _Bar:
    def __init__(self, what: str, total: int, before: int, progress: Progress) -> None:
        self._what, self._total, self._done, self._progress = what, total, before, progress
        self._task = progress.add_task(what, total=total, completed=before)

    def done(self, note: str) -> None:
        self._done += 1
        self._progress.update(self._task, completed=self._done)
        if note:
            self._progress.console.print(f"{self._what} {self._done}/{self._total}  {note}")

    def part(self, share: float) -> None:
        self._progress.update(self._task, completed=self._done + share)


class _Lines:
    def __init__(self, what: str, total: int, before: int, where: Console) -> None:
        self._what, self._total, self._done, self._where = what, total, before, where
        self._before = before
        self._began = time.monotonic()

    def done(self, note: str) -> None:
        self._done += 1
        each = (time.monotonic() - self._began) / (self._done - self._before)
        said = f"{self._what} {self._done}/{self._total}  {note}".rstrip()
        self._where.print(f"{said}  remaining {_time(each * (self._total - self._done))}")

    def part(self, share: float) -> None:
        """Print nothing: a line is for a whole task."""


def _time(seconds: float) -> str:
    if seconds < _FEW * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _FEW * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"
