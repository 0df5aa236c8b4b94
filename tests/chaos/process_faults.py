"""The monitor dies, is doubled, or finds no broker."""

import signal
import threading
from pathlib import Path

from tests.chaos.harness import MODES, Rig, await_progress, by_mode
from tests.chaos.results import Row
from tests.conftest import free_port, wait_until
from tests.support.processes import Monitor

__all__ = ["absent_broker", "kill_monitor", "two_monitors", "wrong_address"]


def kill_monitor(folder: Path, count: int, seed: int) -> Row:
    """Kill the monitor at random moments under 2,000 readings a second, and start it again."""
    total = Row("monitor killed (kill -9)", count)
    for mode, times in by_mode(count):
        with Rig(folder / mode, seed, mode) as rig:
            rig.plant.start()
            for _ in range(times):
                rig.wait(0.1, 1.5)
                rig.monitor.kill()
                rig.monitor.start()
            total.add(rig.verdict())
    return total


def absent_broker(folder: Path, count: int, seed: int, absence: float = 30.0) -> Row:
    """Start the monitor `absence` seconds before its broker, `count` times."""
    total = Row(f"broker absent for the first {absence:g} s", count)
    for number in range(count):
        rig = Rig(folder / str(number), seed + number, MODES[number % 2])
        try:
            rig.monitor.start()
            rig.until(lambda: "no connection" in rig.monitor.get("/readyz")[1], "it says why")  # noqa: B023
            threading.Event().wait(absence)
            if rig.monitor.ended():
                total.broken.append("the monitor didn't wait")
            rig.broker.start()
            rig.witness.start()
            rig.ready()
            rig.plant.start()
            rig.wait(1.0, 2.0)
            total.add(rig.verdict())
        finally:
            rig.__exit__()
    return total


def wrong_address(folder: Path, count: int, seed: int) -> Row:
    """Start the monitor with the address of no broker, correct it, and let it read its settings again."""
    total = Row("wrong address, then right by reload", count)
    for number in range(count):
        rig = Rig(folder / str(number), seed + number, MODES[number % 2])
        try:
            rig.monitor.configure(rig.settings, port=free_port())
            rig.broker.start()
            rig.witness.start()
            rig.monitor.start()
            rig.until(lambda: "no connection" in rig.monitor.get("/readyz")[1], "it says why")  # noqa: B023
            rig.monitor.configure(rig.settings, port=rig.broker.port)
            assert rig.monitor.process is not None
            rig.monitor.process.send_signal(signal.SIGHUP)
            rig.ready()
            rig.plant.start()
            rig.wait(0.5, 1.5)
            total.add(rig.verdict())
        finally:
            rig.__exit__()
    return total


def two_monitors(folder: Path, count: int, seed: int) -> Row:
    """Start a second monitor with the client id of the first: one goes on, the other says why it ends."""
    total = Row("two monitors with one client id", count)
    for number in range(count):
        with Rig(folder / str(number), seed + number, MODES[number % 2]) as rig:
            second = folder / f"second-{number}"
            second.mkdir()
            other = Monitor(second, rig.bundle, rig.broker.port)
            first = rig.monitor
            try:
                other.start()
                wait_until(first.ended, "the first ends")
                if first.process is None or first.process.returncode != 2 or "client_id" not in first.log():
                    total.broken.append("the one that lost didn't exit 2 with its reason")
                wait_until(lambda: other.get("/readyz")[0] == 200, "the second is ready")  # noqa: B023
                # A broker that doesn't say why it closes a connection makes the first one ask, once.
                asked = other.metric("mqtt_reconnects_total")
                rig.plant.start()
                rig.wait(1.0, 3.0)
                if other.ended() or asked > 1 or other.metric("mqtt_reconnects_total") > asked:
                    total.broken.append("the one that goes on is thrown out again and again")
                total.notes.append(f"thrown out {asked:.0f} times before the other one left")
                total.confirmed += len(rig.plant.finish())
                await_progress(
                    lambda: sum(other.outcomes().values()) == len(rig.plant.sent),  # noqa: B023
                    lambda: sum(other.outcomes().values()),  # noqa: B023
                    "all are judged",
                )
            finally:
                other.kill()
    return total
