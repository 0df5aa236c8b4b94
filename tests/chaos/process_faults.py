"""Faults of the monitor's process: a kill, a start without a reachable broker, a second monitor."""

import signal
import threading
from pathlib import Path

from tests.chaos.harness import ALERT_MODES, Harness, split_by_mode, wait_all_counted
from tests.chaos.results import ResultRow
from tests.conftest import free_port, wait_until
from tests.support.processes import Monitor

__all__ = ["kill_monitor", "start_before_broker", "start_second_monitor", "start_with_wrong_address"]


def kill_monitor(folder: Path, count: int, seed: int) -> ResultRow:
    """Kill the monitor at random moments under 2,000 readings a second, and start it again."""
    total = ResultRow("monitor killed (kill -9)", count)
    for mode, repetitions in split_by_mode(count):
        with Harness(folder / mode, seed, mode) as harness:
            harness.load_generator.start()
            for _ in range(repetitions):
                harness.wait_random(0.1, 1.5)
                harness.monitor.kill()
                harness.monitor.start()
            total.add(harness.finish())
    return total


def start_before_broker(folder: Path, count: int, seed: int, absence_s: float = 30.0) -> ResultRow:
    """Start the monitor `absence_s` seconds before its broker, `count` times."""
    total = ResultRow(f"broker absent for the first {absence_s:g} s", count)
    for number in range(count):
        harness = Harness(folder / str(number), seed + number, ALERT_MODES[number % 2])
        try:
            harness.monitor.start()
            _wait_not_connected(harness)
            threading.Event().wait(absence_s)
            if harness.monitor.has_exited():
                total.failures.append("the monitor didn't wait")
            harness.broker.start()
            harness.recorder.start()
            harness.wait_ready()
            harness.load_generator.start()
            harness.wait_random(1.0, 2.0)
            total.add(harness.finish())
        finally:
            harness.__exit__()
    return total


def start_with_wrong_address(folder: Path, count: int, seed: int) -> ResultRow:
    """Start the monitor with a port that nobody listens on, correct it, and reload the settings."""
    total = ResultRow("wrong address, then right by reload", count)
    for number in range(count):
        harness = Harness(folder / str(number), seed + number, ALERT_MODES[number % 2])
        try:
            harness.monitor.configure(harness.settings, port=free_port())
            harness.broker.start()
            harness.recorder.start()
            harness.monitor.start()
            _wait_not_connected(harness)
            harness.monitor.configure(harness.settings, port=harness.broker.port)
            assert harness.monitor.process is not None
            harness.monitor.process.send_signal(signal.SIGHUP)
            harness.wait_ready()
            harness.load_generator.start()
            harness.wait_random(0.5, 1.5)
            total.add(harness.finish())
        finally:
            harness.__exit__()
    return total


def _wait_not_connected(harness: Harness) -> None:
    harness.wait_for(
        lambda: "no connection" in harness.monitor.get("/readyz")[1],
        "/readyz reports that there is no connection",
    )


def start_second_monitor(folder: Path, count: int, seed: int) -> ResultRow:
    """Start a second monitor with the client id of the first: the first must exit 2 and log why."""
    total = ResultRow("two monitors with one client id", count)
    for number in range(count):
        with Harness(folder / str(number), seed + number, ALERT_MODES[number % 2]) as harness:
            second_folder = folder / f"second-{number}"
            second_folder.mkdir()
            second_monitor = Monitor(second_folder, harness.bundle, harness.broker.port)
            first_monitor = harness.monitor
            try:
                second_monitor.start()
                wait_until(first_monitor.has_exited, "the first ends")
                if (
                    first_monitor.process is None
                    or first_monitor.process.returncode != 2
                    or "client_id" not in first_monitor.log()
                ):
                    total.failures.append("the first monitor didn't exit 2 with its reason in the log")
                wait_until(lambda: second_monitor.get("/readyz")[0] == 200, "the second is ready")  # noqa: B023
                # A broker that doesn't say why it closes a connection makes the first monitor reconnect once
                # to find out, which disconnects the second.
                reconnects = second_monitor.metric("mqtt_reconnects_total")
                harness.load_generator.start()
                harness.wait_random(1.0, 3.0)
                if (
                    second_monitor.has_exited()
                    or reconnects > 1
                    or second_monitor.metric("mqtt_reconnects_total") > reconnects
                ):
                    total.failures.append("the second monitor is disconnected again and again")
                total.notes.append(f"disconnected {reconnects:.0f} times before the first monitor ended")
                total.confirmed_readings += len(harness.load_generator.finish())
                wait_all_counted(second_monitor, len(harness.load_generator.sent_readings))
            finally:
                second_monitor.kill()
    return total
