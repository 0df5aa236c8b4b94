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

__all__ = ["PLACES"]

PLACES = ("before", "within", "after")
"""Before the transaction, in the midst of it, or when it is through and nothing has been told of it."""
# Whatever the monitor wrongly said before its commit has left the process by then.
_PAUSE = 0.03  # seconds


def _die() -> None:
    time.sleep(_PAUSE)
    os.kill(os.getpid(), signal.SIGKILL)


def _set(number: int, place: str) -> None:
    """Make the store's save a trap."""
    save = Store.save
    left = number

    def deadly(values: Iterable[Any]) -> Iterator[Any]:
        for index, value in enumerate(values):
            if index:
                _die()
            yield value
        _die()

    def trapped(store: Store, values: Iterable[Any], *others: Any) -> None:
        nonlocal left
        left -= 1
        if left:
            save(store, values, *others)
            return
        if place == "before":
            _die()
        save(store, deadly(values) if place == "within" else values, *others)
        _die()

    Store.save = trapped  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    trap = Path(sys.argv[-1]).with_name("trap")
    if trap.exists():
        count, where = trap.read_text().split()
        _set(int(count), where)
    sys.exit(main())
