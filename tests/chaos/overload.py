"""Overload: more readings a second than the monitor can judge."""

import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.chaos.harness import Harness, wait_while_progressing
from tests.chaos.memory import resident_mb
from tests.chaos.recorder import Recorder
from tests.chaos.results import ResultRow
from tests.support.processes import Monitor

__all__ = ["flood"]

_CAPACITY_READINGS = 10_000
"""Readings with which the monitor's capacity is measured."""
_OVERLOAD_FACTOR = 3
_MODEL_WORK = 60
"""Extra layers: the model is slow enough for the load generator, in Python, to send three times its
capacity."""
_MAX_GROWTH_MB = 200.0
"""MiB. The receive queue holds 65,536 messages of half a kilobyte, twice while they are decoded; the rest is
slack."""
_DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"


class MemorySampler:
    """Samples a monitor's resident memory ten times a second."""

    def __init__(self, monitor: Monitor) -> None:
        assert monitor.process is not None
        self._pid = monitor.process.pid
        self._stopped = threading.Event()
        self.first_mb = self.peak_mb = resident_mb(self._pid)
        """Resident memory at the start, and the most since then, in MiB."""
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        with suppress(OSError):
            while not self._stopped.wait(0.1):
                self.peak_mb = max(self.peak_mb, resident_mb(self._pid))

    def stop(self) -> None:
        """Stop sampling."""
        self._stopped.set()
        self._thread.join()


def flood(folder: Path, duration_s: int, seed: int, qos: int) -> ResultRow:
    """Send three times what the monitor can judge, for `duration_s` seconds, and wait until it has caught up.

    With QoS 1 every event must be received in the end. With QoS 0 each reading must be judged, counted as
    `overflow`, or counted as dropped by the broker.
    """
    row = ResultRow(f"flood for {duration_s} s, QoS {qos}", 1)
    mode = "every_window" if qos else "lifecycle"
    with Harness(folder, seed, mode, mqtt=f"qos = {qos}", rate=1e6, model_work=_MODEL_WORK) as harness:
        sys_recorder = Recorder(harness.broker.port, "system", _DROPPED_TOPIC)
        sys_recorder.start()
        capacity = _measure_capacity(harness)
        memory = MemorySampler(harness.monitor)
        sent_before = len(harness.load_generator.sent_readings)
        harness.load_generator.rate = _OVERLOAD_FACTOR * capacity
        harness.load_generator.start()
        threading.Event().wait(duration_s)
        rate = (len(harness.load_generator.sent_readings) - sent_before) / duration_s
        sent_readings = harness.load_generator.finish()
        row.confirmed_readings = len(sent_readings)
        if qos:
            row.add(harness.compare(ResultRow("", 1), [sent_readings]))
        else:
            row.failures += _check_all_accounted(harness, sys_recorder, row)
        memory.stop()
        sys_recorder.close()
    row.notes.append(
        f"{rate:,.0f} readings/s sent, {capacity:,.0f}/s can be judged; "
        f"memory {memory.first_mb:.0f} MiB, at most {memory.peak_mb:.0f} MiB"
    )
    if memory.peak_mb - memory.first_mb > _MAX_GROWTH_MB:
        row.failures.append(f"memory grew by {memory.peak_mb - memory.first_mb:.0f} MiB")
    return row


def _measure_capacity(harness: Harness) -> float:
    """Return how many readings a second the monitor judges when readings arrive faster than that."""
    harness.load_generator.start()
    started_at = time.monotonic()
    harness.wait_for(
        lambda: len(harness.load_generator.sent_readings) >= _CAPACITY_READINGS, "the readings are sent"
    )
    harness.load_generator.pause()
    sent_count = len(harness.load_generator.sent_readings)
    wait_while_progressing(
        lambda: _count_outcomes(harness) >= sent_count,
        lambda: _count_outcomes(harness),
        "all readings are counted",
    )
    return sent_count / (time.monotonic() - started_at)


def _count_outcomes(harness: Harness) -> int:
    return sum(harness.monitor.outcomes().values())


def _check_all_accounted(harness: Harness, sys_recorder: Recorder, row: ResultRow) -> list[str]:
    """Return a failure if outcomes and the broker's drops don't add up to the readings that were sent."""

    def dropped_by_broker() -> int:
        return int(sys_recorder.packets[-1].payload) if sys_recorder.packets else 0

    sent_count = len(harness.load_generator.sent_readings)
    with suppress(TimeoutError):
        wait_while_progressing(
            lambda: _count_outcomes(harness) + dropped_by_broker() == sent_count,
            lambda: _count_outcomes(harness) + dropped_by_broker(),
            "all readings are counted",
        )
    outcomes = harness.monitor.outcomes()
    row.notes.append(f"{outcomes}, dropped by the broker {dropped_by_broker()}")
    unaccounted = sent_count - sum(outcomes.values()) - dropped_by_broker()
    return [f"{unaccounted} of {sent_count} readings unaccounted for"] if unaccounted else []
