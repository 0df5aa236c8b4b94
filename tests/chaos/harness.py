"""The test setup of a scenario: a broker, a monitor, a load generator and a recorder of alerts and states."""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from monitor.core.verdicts import AlertEvent
from tests.chaos.broker import Broker
from tests.chaos.load_generator import LoadGenerator
from tests.chaos.raw_mqtt import Packet
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

__all__ = ["ALERT_MODES", "Harness", "split_by_mode", "wait_all_counted", "wait_while_progressing"]

ALERT_MODES = ("every_window", "lifecycle")
_DEFAULT_RATE = 2000.0
_DEFAULT_GROUP_COUNT = 100
_POLL_INTERVAL_S = 0.02
_STALL_TIMEOUT_S = 25.0
"""Seconds without progress until a wait fails: longer than any pause between the monitor's reconnects."""


def split_by_mode(count: int) -> list[tuple[str, int]]:
    """Split repetitions between the two alert modes; return (mode, repetitions) where they aren't 0."""
    shares = zip(ALERT_MODES, (count - count // 2, count // 2), strict=True)
    return [(mode, repetitions) for mode, repetitions in shares if repetitions]


class Harness:
    """All processes and clients of one run of a scenario.

    Inside the `with` block the monitor is ready and the recorder is subscribed; the load generator sends once
    the scenario calls `load_generator.start`.

    Parameters
    ----------
    folder : folder to create; every file of the run is written there.
    seed : of the readings, and of the pauses of `wait_random`.
    mode : `alerts.mode` of the monitor.
    settings : further lines of the monitor's configuration file, after `[alerts]`.
    mqtt : further lines of the section `[mqtt]`.
    use_proxy : whether the monitor connects to the broker through a proxy.
    store : path of the monitor's store; default: in `folder`.
    command : command that starts the monitor.
    rate : readings a second, of all groups together.
    readings : the readings to send; default: of 100 groups.
    broker_lines : further lines of the broker's configuration file.
    model_work : extra layers of the monitor's model, which make it slow enough to be overloaded.
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
        readings: ReadingGenerator | None = None,
        broker_lines: tuple[str, ...] = (),
        model_work: int = 0,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.mode = mode
        self.bundle = folder / "bundle"
        """Bundle that the expected events are computed with. The monitor's bundle gives the same scores."""
        save_toy_bundle(self.bundle)
        monitor_bundle = self.bundle if not model_work else folder / "slow-bundle"
        if model_work:
            save_toy_bundle(monitor_bundle, extra_layers=model_work)
        self.broker = Broker(folder, *broker_lines)
        self.proxy = Proxy(self.broker.port) if use_proxy else None
        port = self.proxy.port if self.proxy else self.broker.port
        self.settings = f'[alerts]\nmode = "{mode}"\n{settings}'
        """Configuration in the form that `Monitor.configure` takes."""
        self.monitor = Monitor(folder, monitor_bundle, port, self.settings, mqtt, command, store)
        readings = readings or ReadingGenerator(_DEFAULT_GROUP_COUNT, seed)
        self.load_generator = LoadGenerator(self.broker.port, readings, rate)
        self.recorder = Recorder(self.broker.port, "recorder", f"{ALERT_PREFIX}#", f"{STATE_PREFIX}#")
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
        """Wait for a random time, between two limits in seconds, so that the next fault is unpredictable."""
        threading.Event().wait(self._rng.uniform(shortest, longest))

    def wait_for(self, condition: Callable[[], object], description: str) -> None:
        """Wait for a condition, long enough to cover a lost connection and a reconnect."""
        wait_while_progressing(condition, lambda: 0, description)

    def wait_ready(self) -> None:
        """Wait until the monitor is connected and subscribed."""
        self.wait_for(lambda: self.monitor.get("/readyz")[0] == 200, "the monitor is ready")

    def finish(self) -> ResultRow:
        """Resolve all incidents, wait until every reading is acknowledged, and compare."""
        readings = self.load_generator.finish()
        return self.compare(ResultRow("", 1, len(readings)), [readings])

    def compare(
        self,
        row: ResultRow,
        segments: list[list[Reading]],
        *,
        is_compared: Callable[[Packet], bool] = lambda _: True,
    ) -> ResultRow:
        """Wait for the events of these readings, stop the monitor, and compare expected and received events.

        Parameters
        ----------
        row : counts, failures and notes are added to it, and it is returned.
        segments : readings that the monitor should have judged; it started each segment with an empty store.
        is_compared : returns whether a received packet is of one of these readings' groups.
        """
        expected = [event for segment in segments for event in self.expected_events(segment)]
        expected_count = len({(event.id, event.status, tuple(event.window_ts)) for event in expected})
        counter = _EventCounter(self.recorder)
        try:
            wait_while_progressing(
                lambda: counter.count_distinct() >= expected_count,
                counter.count_distinct,
                "the events are received",
            )
            wait_while_progressing(
                lambda: self.monitor.metric("queue_readings") == 0,
                lambda: int(self.monitor.metric("queue_readings")),
                "the queue is empty",
            )
        except TimeoutError as error:
            row.notes.append(str(error))  # no failure by itself: the comparison below counts what is missing
        if self.monitor.terminate():
            row.failures.append(f"exit code {self.monitor.process and self.monitor.process.returncode}")
        self._flush_recorder()
        compare_events(row, self.mode, expected, list(filter(is_compared, self.recorder.packets)))
        row.failures.extend(self._stale_states())
        return row

    def expected_events(self, sent: Iterable[Reading]) -> list[AlertEvent]:
        """Return the events that an undisturbed monitor publishes for these readings."""
        return expected_events(self.bundle, self.mode, sent)

    def _flush_recorder(self) -> None:
        """Publish a marker and wait for it: then the recorder has everything that the broker held for it."""
        marker = f"{ALERT_PREFIX}marker"
        with connect_client(self.broker.port) as publisher:
            publisher.publish(marker, b"")
        wait_until(
            lambda: any(packet.topic == marker for packet in self.recorder.packets[-1000:]),
            "the recorder receives the marker",
        )
        self.recorder.packets[:] = [packet for packet in self.recorder.packets if packet.topic != marker]

    def _stale_states(self) -> list[str]:
        """Return a failure if the broker retains a state that isn't the last published on its topic."""
        last_payloads = last_states(self.recorder.packets)
        with connect_client(self.broker.port, f"{STATE_PREFIX}#") as subscriber:
            with suppress(pytest.fail.Exception):
                wait_until(
                    lambda: len(subscriber.messages) >= len(last_payloads), "retained states are received"
                )
            retained = {topic: payload for topic, payload, _ in subscriber.messages}
        stale = sum(retained.get(topic) != payload for topic, payload in last_payloads.items())
        return [f"{stale} of {len(last_payloads)} retained states out of date"] if stale else []


class _EventCounter:
    """Counts the distinct events that a recorder received; parses each packet once."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._read_count = 0
        self._events: set[object] = set()

    def count_distinct(self) -> int:
        """Return the number of distinct events so far."""
        packets = self._recorder.packets[self._read_count :]
        self._read_count += len(packets)
        self._events.update(read_events(packets))
        return len(self._events)


def wait_while_progressing(
    condition: Callable[[], object], progress: Callable[[], int], description: str
) -> None:
    """Wait for a condition as long as `progress` keeps changing.

    Raises
    ------
    TimeoutError : `progress` didn't change for `_STALL_TIMEOUT_S`.
    """
    last, deadline = progress(), time.monotonic() + _STALL_TIMEOUT_S
    timer = threading.Event()
    while not condition():
        if (current := progress()) != last:
            last, deadline = current, time.monotonic() + _STALL_TIMEOUT_S
        if time.monotonic() > deadline:
            raise TimeoutError(f"no progress for {_STALL_TIMEOUT_S:.0f} s: {description}")
        timer.wait(_POLL_INTERVAL_S)


def wait_all_counted(monitor: Monitor, count: int) -> None:
    """Wait until a monitor has counted this many readings, whatever their outcomes."""

    def outcome_count() -> int:
        return sum(monitor.outcomes().values())

    wait_while_progressing(lambda: outcome_count() == count, outcome_count, "all readings are counted")
