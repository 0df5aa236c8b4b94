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
from tests.chaos.load_generator import Plant
from tests.chaos.reading_generator import Course, Reading
from tests.chaos.recorder import Witness
from tests.chaos.results import ALERTS, STATES, Row, expect, last_states, read_events, weigh
from tests.conftest import wait_until
from tests.support.processes import Monitor, Proxy, client
from tests.support.toy_bundle import save_toy_bundle

__all__ = ["MODES", "Rig", "await_progress", "by_mode"]

MODES = ("every_window", "lifecycle")
_RATE = 2000.0
_GROUPS = 100
_GLANCE = 0.02  # seconds
_PATIENCE = 25.0
"""Seconds without any progress until a rig gives up: longer than any pause of the monitor's."""


def by_mode(count: int) -> list[tuple[str, int]]:
    """Return how often a fault is to be done in each mode of the alerts, if it is."""
    shares = zip(MODES, (count - count // 2, count // 2), strict=True)
    return [(mode, times) for mode, times in shares if times]


class Rig:
    """All parts of one run; entered, it is ready, and the plant sends from `plant.start` on.

    Parameters
    ----------
    folder : an empty one, for everything that is written.
    seed : of the plant's readings and of the moments that `pick` gives.
    mode : of the alerts.
    settings : further lines of the monitor's configuration.
    mqtt : further lines of its section `mqtt`.
    proxied : whether a proxy stands between the monitor and the broker.
    store : where the monitor keeps its state, if not in `folder`.
    command : what the monitor is started with.
    rate, groups : readings a second, and of how many groups.
    work : how much the monitor's model computes for nothing, so that it can be flooded.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        mode: str,
        *,
        settings: str = "",
        mqtt: str = "",
        proxied: bool = False,
        store: Path | None = None,
        command: tuple[str, ...] = (sys.executable, "-m", "monitor"),
        rate: float = _RATE,
        groups: int = _GROUPS,
        work: int = 0,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.mode = mode
        self.bundle = folder / "bundle"
        """What tells the events that are expected; the monitor's own gives the same scores."""
        save_toy_bundle(self.bundle)
        used = self.bundle if not work else folder / "slow-bundle"
        if work:
            save_toy_bundle(used, work=work)
        self.broker = Broker(folder)
        self.proxy = Proxy(self.broker.port) if proxied else None
        port = self.proxy.port if self.proxy else self.broker.port
        self.settings = f'[alerts]\nmode = "{mode}"\n{settings}'
        """What `Monitor.configure` takes."""
        self.monitor = Monitor(folder, used, port, self.settings, mqtt, command, store)
        self.plant = Plant(self.broker.port, Course(groups, seed), rate)
        self.witness = Witness(self.broker.port, "witness", f"{ALERTS}#", f"{STATES}#")
        self._chance = random.Random(seed)  # noqa: S311, repeatable on purpose

    def __enter__(self) -> Self:
        try:
            self.broker.start()
            self.witness.start()
            self.monitor.start_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.plant.close()
        self.witness.close()
        self.monitor.kill()
        self.broker.stop()
        if self.proxy:
            self.proxy.close()

    def wait(self, shortest: float, longest: float) -> None:
        """Let a random time pass, in seconds: this is when the fault comes."""
        threading.Event().wait(self._chance.uniform(shortest, longest))

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition for as long as a connection may take to be given up and made anew."""
        await_progress(condition, lambda: 0, what)

    def ready(self) -> None:
        """Wait until the monitor is connected and subscribed."""
        self.until(lambda: self.monitor.get("/readyz")[0] == 200, "the monitor is ready")

    def verdict(self) -> Row:
        """Let all come to rest, and compare."""
        readings = self.plant.finish()
        return self.settle(Row("", 1, len(readings)), [readings])

    def settle(self, row: Row, segments: list[list[Reading]]) -> Row:
        """Wait for the events of these readings, each segment judged from a fresh start, and compare.

        `forgetful` says that the broker forgot states that it had confirmed and was to retain.
        """
        expected = [event for segment in segments for event in expect(self.bundle, self.mode, segment)]
        due = len({(event.id, event.status, tuple(event.window_ts)) for event in expected})
        counted = _Counted(self.witness)
        try:
            await_progress(lambda: counted.distinct() >= due, counted.distinct, "the events come")
            await_progress(
                lambda: self.monitor.metric("queue_readings") == 0,
                lambda: int(self.monitor.metric("queue_readings")),
                "the queue is empty",
            )
        except TimeoutError as error:
            row.notes.append(str(error))  # the figures say what is missing
        if self.monitor.terminate():
            row.broken.append(f"exit code {self.monitor.process and self.monitor.process.returncode}")
        self._flush()
        weigh(row, self.mode, expected, self.witness.packets)
        row.broken.extend(self._stale_states())
        return row

    def _flush(self) -> None:
        """See that the witness has got all that the broker has for it."""
        marker = f"{ALERTS}marker"
        with client(self.broker.port) as other:
            other.publish(marker, b"")
        wait_until(lambda: any(p.topic == marker for p in self.witness.packets[-1000:]), "the marker comes")
        self.witness.packets[:] = [packet for packet in self.witness.packets if packet.topic != marker]

    def _stale_states(self) -> list[str]:
        """Return how many states the broker retains that are not the last that was said."""
        live = last_states(self.witness.packets)
        with client(self.broker.port, f"{STATES}#") as late:
            with suppress(pytest.fail.Exception):
                wait_until(lambda: len(late.messages) >= len(live), "retained states come")
            retained = {topic: payload for topic, payload, _ in late.messages}
        stale = sum(retained.get(topic) != payload for topic, payload in live.items())
        return [f"{stale} of {len(live)} retained states out of date"] if stale else []


class _Counted:
    """How many different events a witness has, reading each packet once."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._seen = 0
        self._events: set[object] = set()

    def distinct(self) -> int:
        """Return how many."""
        packets = self._witness.packets[self._seen :]
        self._seen += len(packets)
        self._events.update(read_events(packets))
        return len(self._events)


def await_progress(condition: Callable[[], object], progress: Callable[[], int], what: str) -> None:
    """Wait for a condition as long as a number changes.

    Raises
    ------
    TimeoutError : it didn't for too long.
    """
    last, deadline = progress(), time.monotonic() + _PATIENCE
    pause = threading.Event()
    while not condition():
        if (now := progress()) != last:
            last, deadline = now, time.monotonic() + _PATIENCE
        if time.monotonic() > deadline:
            raise TimeoutError(f"no progress for {_PATIENCE:.0f} s: {what}")
        pause.wait(_GLANCE)
