"""More than the monitor can judge, and more than a year's worth of readings."""

import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.chaos.harness import Rig, await_progress
from tests.chaos.memory import resident_mb
from tests.chaos.recorder import Witness
from tests.chaos.results import Row
from tests.support.processes import Monitor

__all__ = ["flood"]

_MEASURED = 10_000  # readings
_FACTOR = 3
# A model so slow that a plant in Python can send three times what it judges.
_WORK = 60
# The inbox holds 65,536 messages of half a kilobyte, twice over while they are decoded; the rest is slack.
_MOST_GROWTH_MB = 200.0
_DROPPED = "$SYS/broker/publish/messages/dropped"


class Gauge:
    """Watches a monitor's memory."""

    def __init__(self, monitor: Monitor) -> None:
        assert monitor.process is not None
        self._pid = monitor.process.pid
        self._done = threading.Event()
        self.first = self.highest = resident_mb(self._pid)
        """MiB."""
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        with suppress(OSError):
            while not self._done.wait(0.1):
                self.highest = max(self.highest, resident_mb(self._pid))

    def stop(self) -> None:
        """Look no longer."""
        self._done.set()
        self._thread.join()


def flood(folder: Path, seconds: int, seed: int, qos: int) -> Row:
    """Send three times what the monitor can judge for some seconds, and then wait for it.

    With QoS 1 every event comes in the end. With QoS 0 each reading is judged, counted as `overflow`, or
    dropped by the broker, which says how many.
    """
    row = Row(f"flood for {seconds} s, QoS {qos}", 1)
    mode = "every_window" if qos else "lifecycle"
    with Rig(folder, seed, mode, mqtt=f"qos = {qos}", rate=1e6, work=_WORK) as rig:
        system = Witness(rig.broker.port, "system", _DROPPED)
        system.start()
        capacity = _capacity(rig)
        gauge = Gauge(rig.monitor)
        before = len(rig.plant.sent)
        rig.plant.rate = _FACTOR * capacity
        rig.plant.start()
        threading.Event().wait(seconds)
        rate = (len(rig.plant.sent) - before) / seconds
        sent = rig.plant.finish()
        row.confirmed = len(sent)
        if qos:
            row.add(rig.settle(Row("", 1), [sent]))
        else:
            row.broken += _account(rig, system, row)
        gauge.stop()
        system.close()
    row.notes.append(
        f"{rate:,.0f} readings/s sent, {capacity:,.0f}/s can be judged; "
        f"memory {gauge.first:.0f} MiB, at most {gauge.highest:.0f} MiB"
    )
    if gauge.highest - gauge.first > _MOST_GROWTH_MB:
        row.broken.append(f"memory grew by {gauge.highest - gauge.first:.0f} MiB")
    return row


def _capacity(rig: Rig) -> float:
    """Return how many readings a second the monitor judges when that is all it has to do."""
    rig.plant.start()
    began = time.monotonic()
    rig.until(lambda: len(rig.plant.sent) >= _MEASURED, "the plant sends")
    rig.plant.pause()
    sent = len(rig.plant.sent)
    await_progress(lambda: _counted(rig) >= sent, lambda: _counted(rig), "all is counted")
    return sent / (time.monotonic() - began)


def _counted(rig: Rig) -> int:
    return sum(rig.monitor.outcomes().values())


def _account(rig: Rig, system: Witness, row: Row) -> list[str]:
    """Return what is wrong with the sum of what was judged, counted and dropped by the broker."""

    def dropped() -> int:
        return int(system.packets[-1].payload) if system.packets else 0

    sent = len(rig.plant.sent)
    with suppress(TimeoutError):
        await_progress(
            lambda: _counted(rig) + dropped() == sent, lambda: _counted(rig) + dropped(), "all is counted"
        )
    outcomes = rig.monitor.outcomes()
    row.notes.append(f"{outcomes}, dropped by the broker {dropped()}")
    unaccounted = sent - sum(outcomes.values()) - dropped()
    return [f"{unaccounted} of {sent} readings unaccounted for"] if unaccounted else []
