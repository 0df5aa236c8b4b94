"""Processes of the benchmarks: broker and senders, and the processor time of any process."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.workload import Workload
from tests.conftest import TIMEOUT_S, Mosquitto

__all__ = ["Broker", "LineProcess", "cpu_seconds", "running_sender", "wait_until_idle"]

_CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE_POLL_S = 0.2
"""Seconds in which an idle process computes for at most `_MAX_IDLE_TICKS`."""
_MAX_IDLE_TICKS = 1


class Broker(Mosquitto):
    """Mosquitto without queue limits, so that it drops nothing however far a subscriber lags behind.

    Its log has a line for each subscription.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "allow_anonymous true",
            "max_queued_messages 0",
            "max_inflight_messages 0",
            "log_type error",
            "log_type subscribe",
        )

    def subscription_log(self) -> str:
        """Return the log, which has a line for each subscription."""
        return self._config_file.with_suffix(".log").read_text()


class LineProcess:
    """A process of this package that prints a line for each event, and continues on a line of input.

    Parameters
    ----------
    module : module of `tests.bench` to run.
    arguments : its command line.
    log : file for its stderr.
    """

    def __init__(self, module: str, arguments: list[str], log: Path) -> None:
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"tests.bench.{module}", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._log = log

    def read_line(self) -> str:
        """Wait for its next line, and return it without the line break; fail if the process ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"{self.process.args!r} ended: {self._log.read_text()}"
        return line.strip()

    def resume(self) -> None:
        """Send it a line feed, for which it waits."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def wait_exit(self) -> None:
        """Wait until it ends, and require exit code 0."""
        assert self.process.wait(60.0) == 0, self._log.read_text()
        self.close()

    def close(self) -> None:
        """Kill it and close its pipes."""
        self.process.kill()
        self.process.wait(TIMEOUT_S)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def running_sender(port: int, workload: Workload, folder: Path, batch_size: int = 0) -> Iterator[LineProcess]:
    """Start a sender and wait for its packets; each `resume` sends `batch_size` messages (0: all of them)."""
    arguments = [str(port), workload.to_json(), str(batch_size or workload.message_count)]
    process = LineProcess("sender", arguments, folder / "sender.log")
    try:
        assert process.read_line() == "ready"
        yield process
        process.wait_exit()
    finally:
        process.close()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process in seconds: user and system mode, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS_PER_S


def wait_until_idle(pid: int) -> None:
    """Wait until a process hardly uses the processor."""
    timer = threading.Event()
    last_cpu_s = -1.0
    while (cpu_s := cpu_seconds(pid)) - last_cpu_s > _MAX_IDLE_TICKS / _CLOCK_TICKS_PER_S:
        last_cpu_s = cpu_s
        timer.wait(_IDLE_POLL_S)
