"""`sensor-monitor` that kills itself in one of its commits.

`python -m tests.chaos.commit_crash run --config F`: a file `trap` beside F has the number of the commit and the
place in it; without that file it is the monitor and nothing else.
A kill from outside hits a commit, which takes a fraction of a millisecond, once in a blue moon.
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

__all__ = ["CRASH_POINTS"]

CRASH_POINTS = ("before", "within", "after")
"""Before the transaction, in the midst of it, or when it is through and nothing has been told of it."""
# Whatever the monitor wrongly said before its commit has left the process by then.
_KILL_DELAY_S = 0.03  # seconds


def _kill_self() -> None:
    time.sleep(_KILL_DELAY_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _install_crash_point(target_commit: int, point: str) -> None:
    """Make the store's save a trap."""
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
    trigger_file = Path(sys.argv[-1]).with_name("trap")
    if trigger_file.exists():
        commit_number, crash_point = trigger_file.read_text().split()
        _install_crash_point(int(commit_number), crash_point)
    sys.exit(main())
