"""The monitor dies while it commits; its disk is full; its store is damaged."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.chaos.commit_crash import PLACES
from tests.chaos.harness import MODES, Rig, await_progress, by_mode
from tests.chaos.reading_generator import Reading
from tests.chaos.results import Row

__all__ = ["fill_disk", "kill_in_commit", "may_mount", "truncate_store"]

_COMMITS = 100
"""The monitor dies in one of its first so many."""
_VOLUME = "4m"
"""Room for a store and then some; SQLite's log alone grows to about this."""


def kill_in_commit(folder: Path, count: int, seed: int) -> Row:
    """Let the monitor be killed before, within and after some of its commits."""
    total = Row("monitor killed while it commits", count)
    chance = random.Random(seed)  # noqa: S311, repeatable on purpose
    for mode, times in by_mode(count):
        with Rig(
            folder / mode, seed, mode, command=(sys.executable, "-m", "tests.chaos.commit_crash")
        ) as rig:
            rig.monitor.kill()
            trap = rig.folder / "trap"
            rig.plant.start()
            for number in range(times):
                trap.write_text(f"{chance.randint(1, _COMMITS)} {PLACES[(number + 1) % len(PLACES)]}")
                with suppress(AssertionError):  # dead before it was seen to live
                    rig.monitor.start()
                rig.until(rig.monitor.ended, "it is killed")
            trap.unlink()
            rig.monitor.start()
            total.add(rig.verdict())
    return total


def may_mount(folder: Path) -> bool:
    """Say whether a small file system can be mounted here: it takes root, and more than a plain container."""
    with suppress(OSError, subprocess.CalledProcessError), _volume(folder / "may-mount"):
        return True
    return False


@contextmanager
def _volume(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_VOLUME}", "chaos", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill_disk(folder: Path, count: int, seed: int) -> Row:
    """Fill the disk that the store is on: the monitor says so, keeps judging, and recovers with the room."""
    total = Row("disk full", count)
    for number in range(count):
        mode = MODES[number % 2]
        with (
            _volume(folder / f"disk-{number}") as disk,
            Rig(folder / str(number), seed + number, mode, store=disk / "state.db") as rig,
        ):
            _fill(disk / "filler")
            rig.plant.start()
            rig.until(lambda: rig.monitor.get("/readyz")[0] == 503, "it isn't ready with a full disk")
            judged = rig.monitor.metric("readings_total", outcome="judged")
            rig.until(
                lambda: rig.monitor.metric("readings_total", outcome="judged") > judged,  # noqa: B023
                "it goes on judging",
            )
            if rig.monitor.get("/livez")[0] != 200:
                total.broken.append("not alive with a full disk")
            rig.wait(0.5, 1.5)
            (disk / "filler").unlink()
            rig.ready()
            rig.wait(0.2, 0.5)
            total.add(rig.verdict())
    return total


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def truncate_store(folder: Path, count: int, seed: int) -> Row:
    """Cut the store off somewhere while the monitor is stopped: it is set aside, and all begins afresh."""
    total = Row("store truncated", count)
    chance = random.Random(seed)  # noqa: S311, repeatable on purpose
    for mode, times in by_mode(count):
        with Rig(folder / mode, seed, mode) as rig:
            segments: list[list[Reading]] = []
            for number in range(times):
                rig.plant.start()
                rig.wait(0.5, 1.0)
                segments.append(_stop_at_rest(rig, sum(map(len, segments))))
                total.broken += _truncate(rig, chance, number)
            rig.plant.start()
            rig.wait(0.5, 1.0)
            sent = rig.plant.finish()
            segments.append(sent[sum(map(len, segments)) :])
            total.add(rig.settle(Row("", 1, len(sent)), segments))
    return total


def _stop_at_rest(rig: Rig, before: int) -> list[Reading]:
    """Stop the monitor when it has judged everything; return what it judged since its start."""
    segment = rig.plant.finish()[before:]
    await_progress(
        lambda: sum(rig.monitor.outcomes().values()) >= len(segment),
        lambda: sum(rig.monitor.outcomes().values()),
        "all is judged",
    )
    rig.monitor.terminate()
    return segment


def _truncate(rig: Rig, chance: random.Random, number: int) -> list[str]:
    """Cut the store off, start the monitor, and return what it should have done and didn't."""
    store, kept = rig.folder / "state.db", rig.folder / f"whole-{number}.db"
    shutil.copy(store, kept)
    size = kept.stat().st_size
    while _is_whole(store):  # where only free pages are cut off, nothing is lost
        size = chance.randrange(1, size)
        os.truncate(store, size)
    damaged = store.read_bytes()
    rig.monitor.start_ready()
    aside = [path for path in rig.folder.glob("state.db*") if path.name != "state.db"]
    wrong = []
    if not any(path.read_bytes() == damaged for path in aside):
        wrong.append(f"a store cut to {size} bytes is not set aside")
    if not any(path.name in rig.monitor.log() for path in aside):
        wrong.append("the log doesn't say where the damaged store is")
    return wrong


def _is_whole(store: Path) -> bool:
    """Say whether SQLite finds nothing wrong with a copy of a store."""
    copy = shutil.copy(store, store.with_name("copy.db"))
    try:
        with closing(sqlite3.connect(copy)) as database:
            return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    except sqlite3.DatabaseError:
        return False
