"""A log that nobody reads: the monitor's stderr is a pipe that is full."""

import threading
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError

from tests.chaos.harness import ALERT_MODES, Harness, wait_all_counted, wait_while_progressing
from tests.chaos.reading_generator import ReadingGenerator
from tests.chaos.results import ResultRow
from tests.conftest import free_port
from tests.support.full_pipe import open_full_pipe

__all__ = ["leave_log_unread"]

_GROUP_COUNT = 100
_RATE = 5000.0
"""Readings a second."""
_LINE_NAME = "x" * 900
"""Part of each group's name, about the longest that the monitor takes: so the lines of fewer alerts than it
logs in a minute exceed the log's queue."""


def leave_log_unread(folder: Path, duration_s: int, seed: int) -> ResultRow:
    """Let nobody read the log for `duration_s` seconds after its first dropped line, as text and JSON."""
    row = ResultRow(f"log unread for {duration_s} s, as text and JSON", 1)
    for log_format, mode in zip(("text", "json"), ALERT_MODES, strict=True):
        readings = ReadingGenerator(_GROUP_COUNT, seed, _LINE_NAME)
        harness = Harness(folder / log_format, seed, mode, readings=readings, rate=_RATE)
        with open_full_pipe() as pipe:
            try:
                harness.broker.start()
                harness.recorder.start()
                harness.monitor.start_unread(
                    pipe.writer, free_port(), f'{harness.settings}\n[log]\nformat = "{log_format}"'
                )
                row.add(_run_unread(harness, duration_s))
            finally:
                harness.__exit__()
    return row


def _run_unread(harness: Harness, duration_s: int) -> ResultRow:
    """Send readings and compare the events; `compare` ends the monitor with SIGTERM, its log still unread."""
    harness.wait_for(lambda: _is_ready(harness), "the monitor is ready")
    harness.load_generator.start()
    wait_while_progressing(
        lambda: harness.monitor.metric("log_lines_dropped_total") > 0,
        lambda: len(harness.recorder.packets),
        "dropped log lines are counted",
    )
    threading.Event().wait(duration_s)
    sent_readings = harness.load_generator.finish()
    wait_all_counted(harness.monitor, len(sent_readings))
    outcomes = harness.monitor.outcomes()
    dropped_count = int(harness.monitor.metric("log_lines_dropped_total"))
    row = harness.compare(ResultRow("", 1, len(sent_readings)), [sent_readings])
    row.notes.append(f"{outcomes}, {dropped_count} log lines dropped")
    if unexpected := outcomes.keys() - {"judged", "filling", "gap"}:
        row.failures.append(f"readings counted as {', '.join(sorted(unexpected))}")
    return row


def _is_ready(harness: Harness) -> bool:
    with suppress(URLError):  # it doesn't answer yet
        return harness.monitor.get("/readyz")[0] == 200
    return False
