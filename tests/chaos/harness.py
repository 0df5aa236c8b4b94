"""A broker, a monitor, a plant and a witness, put together; a scenario then breaks some of it."""

import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.chaos.broker import Broker
from tests.chaos.load_generator import LoadGenerator
from tests.chaos.reading_generator import Reading, ReadingGenerator
from tests.chaos.recorder import Recorder
from tests.chaos.results import (
    ALERT_PREFIX,
    STATE_PREFIX,
    ResultRow,
    compare_events,
    expected_events,
    last_states,
    read_events,
)
from tests.conftest import wait_until
from tests.support.processes import Monitor, Proxy, connect_client
from tests.support.toy_bundle import save_toy_bundle

__all__ = ["ALERT_MODES", "Harness", "split_by_mode", "wait_while_progressing"]

ALERT_MODES = ("every_window", "lifecycle")
_DEFAULT_RATE = 2000.0
_DEFAULT_GROUP_COUNT = 100
_POLL_INTERVAL_S = 0.02  # seconds
_STALL_TIMEOUT_S = 25.0
"""Seconds without any progress until a rig gives up: longer than any pause of the monitor's."""


def split_by_mode(count: int) -> list[tuple[str, int]]:
    """Return how often a fault is to be done in each mode of the alerts, if it is."""
    shares = zip(ALERT_MODES, (count - count // 2, count // 2), strict=True)
    return [(mode, repetitions) for mode, repetitions in shares if repetitions]


class Harness:
    """All parts of one run; entered, it is ready, and the plant sends from `plant.start` on.

    Parameters
    ----------
    folder : an empty one, for everything that is written.
    seed : of the plant's readings and of the moments that `pick` gives.
    mode : of the alerts.
    settings : further lines of the monitor's configuration.
    mqtt : further lines of its section `mqtt`.
    use_proxy : whether a proxy stands between the monitor and the broker.
    store : where the monitor keeps its state, if not in `folder`.
    command : what the monitor is started with.
    rate, group_count : readings a second, and of how many groups.
    model_work : how much the monitor's model computes for nothing, so that it can be flooded.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        mode: str,
        *,
        settings: str = "",
        mqtt: str = "",
        use_proxy: bool = False,
        store: Path | None = None,
        command: tuple[str, ...] = (sys.executable, "-m", "monitor"),
        rate: float = _DEFAULT_RATE,
        group_count: int = _DEFAULT_GROUP_COUNT,
        model_work: int = 0,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.mode = mode
        self.bundle = folder / "bundle"
        """What tells the events that are expected; the monitor's own gives the same scores."""
        save_toy_bundle(self.bundle)
        monitor_bundle = self.bundle if not model_work else folder / "slow-bundle"
        if model_work:
            save_toy_bundle(monitor_bundle, extra_layers=model_work)
        self.broker = Broker(folder)
        self.proxy = Proxy(self.broker.port) if use_proxy else None
        port = self.proxy.port if self.proxy else self.broker.port
        self.settings = f'[alerts]\nmode = "{mode}"\n{settings}'
        """What `Monitor.configure` takes."""
        self.monitor = Monitor(folder, monitor_bundle, port, self.settings, mqtt, command, store)
        self.load_generator = LoadGenerator(self.broker.port, ReadingGenerator(group_count, seed), rate)
        self.recorder = Recorder(self.broker.port, "witness", f"{ALERT_PREFIX}#", f"{STATE_PREFIX}#")
        self._rng = random.Random(seed)  # noqa: S311, repeatable on purpose

    def __enter__(self) -> Self:
        try:
            self.broker.start()
            self.recorder.start()
            self.monitor.start_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.load_generator.close()
        self.recorder.close()
        self.monitor.kill()
        self.broker.stop()
        if self.proxy:
            self.proxy.close()

    def wait_random(self, shortest: float, longest: float) -> None:
        """Let a random time pass, in seconds: this is when the fault comes."""
        threading.Event().wait(self._rng.uniform(shortest, longest))

    def wait_for(self, condition: Callable[[], object], description: str) -> None:
        """Wait for a condition for as long as a connection may take to be given up and made anew."""
        wait_while_progressing(condition, lambda: 0, description)

    def wait_ready(self) -> None:
        """Wait until the monitor is connected and subscribed."""
        self.wait_for(lambda: self.monitor.get("/readyz")[0] == 200, "the monitor is ready")

    def finish(self) -> ResultRow:
        """Let all come to rest, and compare."""
        readings = self.load_generator.finish()
        return self.compare(ResultRow("", 1, len(readings)), [readings])

    def compare(self, row: ResultRow, segments: list[list[Reading]]) -> ResultRow:
        """Wait for the events of these readings, each segment judged from a fresh start, and compare.

        `forgetful` says that the broker forgot states that it had confirmed and was to retain.
        """
        expected = [
            event for segment in segments for event in expected_events(self.bundle, self.mode, segment)
        ]
        expected_count = len({(event.id, event.status, tuple(event.window_ts)) for event in expected})
        counter = _EventCounter(self.recorder)
        try:
            wait_while_progressing(
                lambda: counter.count_distinct() >= expected_count, counter.count_distinct, "the events come"
            )
            wait_while_progressing(
                lambda: self.monitor.metric("queue_readings") == 0,
                lambda: int(self.monitor.metric("queue_readings")),
                "the queue is empty",
            )
        except TimeoutError as error:
            row.notes.append(str(error))  # the figures say what is missing
        if self.monitor.terminate():
            row.failures.append(f"exit code {self.monitor.process and self.monitor.process.returncode}")
        self._flush_recorder()
        compare_events(row, self.mode, expected, self.recorder.packets)
        row.failures.extend(self._stale_states())
        return row

    def _flush_recorder(self) -> None:
        """See that the witness has got all that the broker has for it."""
        marker = f"{ALERT_PREFIX}marker"
        with connect_client(self.broker.port) as publisher:
            publisher.publish(marker, b"")
        wait_until(lambda: any(p.topic == marker for p in self.recorder.packets[-1000:]), "the marker comes")
        self.recorder.packets[:] = [packet for packet in self.recorder.packets if packet.topic != marker]

    def _stale_states(self) -> list[str]:
        """Return how many states the broker retains that are not the last that was said."""
        last_payloads = last_states(self.recorder.packets)
        with connect_client(self.broker.port, f"{STATE_PREFIX}#") as subscriber:
            with suppress(pytest.fail.Exception):
                wait_until(lambda: len(subscriber.messages) >= len(last_payloads), "retained states come")
            retained = {topic: payload for topic, payload, _ in subscriber.messages}
        stale = sum(retained.get(topic) != payload for topic, payload in last_payloads.items())
        return [f"{stale} of {len(last_payloads)} retained states out of date"] if stale else []


class _EventCounter:
    """How many different events a witness has, reading each packet once."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._read_count = 0
        self._events: set[object] = set()

    def count_distinct(self) -> int:
        """Return how many."""
        packets = self._recorder.packets[self._read_count :]
        self._read_count += len(packets)
        self._events.update(read_events(packets))
        return len(self._events)


def wait_while_progressing(
    condition: Callable[[], object], progress: Callable[[], int], description: str
) -> None:
    """Wait for a condition as long as a number changes.

    Raises
    ------
    TimeoutError : it didn't for too long.
    """
    last, deadline = progress(), time.monotonic() + _STALL_TIMEOUT_S
    timer = threading.Event()
    while not condition():
        if (current := progress()) != last:
            last, deadline = current, time.monotonic() + _STALL_TIMEOUT_S
        if time.monotonic() > deadline:
            raise TimeoutError(f"no progress for {_STALL_TIMEOUT_S:.0f} s: {description}")
        timer.wait(_POLL_INTERVAL_S)
