"""Faults of the store: the monitor is killed during a commit, the disk is full, the file is damaged."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.chaos.commit_crash import CRASH_POINTS, TRIGGER_FILE_NAME
from tests.chaos.harness import ALERT_MODES, Harness, split_by_mode, wait_while_progressing
from tests.chaos.reading_generator import Reading
from tests.chaos.results import ResultRow

__all__ = ["can_mount", "fill_disk", "kill_during_commit", "truncate_store"]

_MAX_COMMIT = 100
"""The monitor is killed in one of its first `_MAX_COMMIT` commits."""
_VOLUME_SIZE = "4m"
"""Enough for a store and more; SQLite's log alone grows to about this size."""


def kill_during_commit(folder: Path, count: int, seed: int) -> ResultRow:
    """Kill the monitor before, within and after one of its commits in turn, `count` times."""
    total = ResultRow("monitor killed while it commits", count)
    rng = random.Random(seed)  # noqa: S311, repeatable on purpose
    for mode, repetitions in split_by_mode(count):
        with Harness(
            folder / mode, seed, mode, command=(sys.executable, "-m", "tests.chaos.commit_crash")
        ) as harness:
            harness.monitor.kill()
            trigger_file = harness.folder / TRIGGER_FILE_NAME
            harness.load_generator.start()
            for number in range(repetitions):
                trigger_file.write_text(
                    f"{rng.randint(1, _MAX_COMMIT)} {CRASH_POINTS[(number + 1) % len(CRASH_POINTS)]}"
                )
                with suppress(
                    AssertionError
                ):  # `start` fails if the monitor is killed before it answers HTTP
                    harness.monitor.start()
                harness.wait_for(harness.monitor.has_exited, "the monitor is killed")
            trigger_file.unlink()
            harness.monitor.start()
            total.add(harness.finish())
    return total


def can_mount(folder: Path) -> bool:
    """Return whether a tmpfs can be mounted: it takes root, and rights that a container lacks by default."""
    with suppress(OSError, subprocess.CalledProcessError), _mounted_volume(folder / "mount-test"):
        return True
    return False


@contextmanager
def _mounted_volume(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_VOLUME_SIZE}", "chaos", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill_disk(folder: Path, count: int, seed: int) -> ResultRow:
    """Fill the store's disk: the monitor must report it, continue to judge, and recover with new space."""
    total = ResultRow("disk full", count)
    for number in range(count):
        mode = ALERT_MODES[number % 2]
        with (
            _mounted_volume(folder / f"disk-{number}") as disk,
            Harness(folder / str(number), seed + number, mode, store=disk / "state.db") as harness,
        ):
            _fill_with_file(disk / "filler")
            harness.load_generator.start()
            harness.wait_for(
                lambda: harness.monitor.get("/readyz")[0] == 503, "/readyz reports 503 with a full disk"
            )
            judged_before = harness.monitor.metric("readings_total", outcome="judged")
            harness.wait_for(
                lambda: harness.monitor.metric("readings_total", outcome="judged") > judged_before,  # noqa: B023
                "the monitor continues to judge",
            )
            if harness.monitor.get("/livez")[0] != 200:
                total.failures.append("/livez doesn't answer 200 with a full disk")
            harness.wait_random(0.5, 1.5)
            (disk / "filler").unlink()
            harness.wait_ready()
            harness.wait_random(0.2, 0.5)
            total.add(harness.finish())
    return total


def _fill_with_file(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def truncate_store(folder: Path, count: int, seed: int) -> ResultRow:
    """Truncate the store while the monitor is stopped: it must be set aside and replaced by a new one."""
    total = ResultRow("store truncated", count)
    rng = random.Random(seed)  # noqa: S311, repeatable on purpose
    for mode, repetitions in split_by_mode(count):
        with Harness(folder / mode, seed, mode) as harness:
            segments: list[list[Reading]] = []
            for number in range(repetitions):
                harness.load_generator.start()
                harness.wait_random(0.5, 1.0)
                segments.append(_stop_when_idle(harness, sum(map(len, segments))))
                total.failures += _truncate_and_restart(harness, rng, number)
            harness.load_generator.start()
            harness.wait_random(0.5, 1.0)
            sent_readings = harness.load_generator.finish()
            segments.append(sent_readings[sum(map(len, segments)) :])
            total.add(harness.compare(ResultRow("", 1, len(sent_readings)), segments))
    return total


def _stop_when_idle(harness: Harness, sent_before: int) -> list[Reading]:
    """Stop the monitor once it has counted every reading; return the readings that it got since its start."""
    segment = harness.load_generator.finish()[sent_before:]
    wait_while_progressing(
        lambda: sum(harness.monitor.outcomes().values()) >= len(segment),
        lambda: sum(harness.monitor.outcomes().values()),
        "all readings are counted",
    )
    harness.monitor.terminate()
    return segment


def _truncate_and_restart(harness: Harness, rng: random.Random, number: int) -> list[str]:
    """Truncate the store at a random size and start the monitor; return what it failed to do."""
    store, backup = harness.folder / "state.db", harness.folder / f"whole-{number}.db"
    shutil.copy(store, backup)
    size = backup.stat().st_size
    while _is_intact(store):  # if only free pages were cut off, SQLite finds no damage
        size = rng.randrange(1, size)
        os.truncate(store, size)
    damaged = store.read_bytes()
    harness.monitor.start_ready()
    moved_stores = [path for path in harness.folder.glob("state.db*") if path.name != "state.db"]
    problems = []
    if not any(path.read_bytes() == damaged for path in moved_stores):
        problems.append(f"a store truncated to {size} bytes is not set aside")
    if not any(path.name in harness.monitor.log() for path in moved_stores):
        problems.append("the log doesn't name the file that the damaged store was moved to")
    return problems


def _is_intact(store: Path) -> bool:
    """Return whether SQLite's integrity check finds nothing wrong with a copy of a store."""
    store_copy = shutil.copy(store, store.with_name("copy.db"))
    try:
        with closing(sqlite3.connect(store_copy)) as database:
            return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    except sqlite3.DatabaseError:
        return False
