"""`sensor-monitor` that kills itself during one of its commits.

`python -m tests.chaos.commit_crash run --config F`: a file `crash_point` beside F holds the number of the
commit and one of `CRASH_POINTS`; without that file this is the unmodified monitor. A kill from outside would
hardly ever hit a commit, which takes a fraction of a millisecond.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from monitor.cli.main import main
from monitor.storage.store import Store

__all__ = ["CRASH_POINTS", "TRIGGER_FILE_NAME"]

TRIGGER_FILE_NAME = "crash_point"

CRASH_POINTS = ("before", "within", "after")
"""Before the transaction, inside it, or after its commit and before the pipeline knows of it."""
_KILL_DELAY_S = 0.03
"""Seconds before the kill: a message that the monitor wrongly published before its commit is sent by then."""


def _kill_self() -> None:
    time.sleep(_KILL_DELAY_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _install_crash_point(target_commit: int, point: str) -> None:
    """Replace `Store.save` by a version that kills this process in its `target_commit`-th call."""
    original_save = Store.save
    commits_left = target_commit

    def values_with_kill(values: Iterable[Any]) -> Iterator[Any]:
        for index, value in enumerate(values):
            if index:
                _kill_self()
            yield value
        _kill_self()

    def crashing_save(store: Store, values: Iterable[Any], *others: Any) -> None:
        nonlocal commits_left
        commits_left -= 1
        if commits_left:
            original_save(store, values, *others)
            return
        if point == "before":
            _kill_self()
        original_save(store, values_with_kill(values) if point == "within" else values, *others)
        _kill_self()

    Store.save = crashing_save  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    trigger_file = Path(sys.argv[-1]).with_name(TRIGGER_FILE_NAME)
    if trigger_file.exists():
        commit_number, crash_point = trigger_file.read_text().split()
        _install_crash_point(int(commit_number), crash_point)
    sys.exit(main())
