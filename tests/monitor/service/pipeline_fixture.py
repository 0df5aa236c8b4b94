"""A world around the pipeline that a test holds in its hands."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from monitor import bundle
from monitor.config.settings import Alerts, WindowSettings
from monitor.core.messages import Delivery, Outgoing, Taken
from monitor.core.readings import Arrivals, Outcome, Refusal
from monitor.core.topics import Template
from monitor.core.verdicts import AlertEvent
from monitor.groups.mutes import Mutes
from monitor.groups.state import Memory
from monitor.ingest.decode import DecodeStage
from monitor.operators.commands import Desk
from monitor.operators.false_alarms import FalseAlarms
from monitor.publish.home_assistant import Discovery
from monitor.publish.publisher import Herald
from monitor.service.pipeline import Pipeline
from monitor.service.stages import build_scoring
from monitor.telemetry.metrics import Metrics
from tests.support.toy_bundle import HEALTHY, NAMES

NOW = 1.7e9
"""The wall clock, seconds since the Unix epoch."""
FAR = [20.0, 50.0, 20.5, 300.0]


class World:
    """The surroundings in memory: gives what a test says, and keeps what it is given."""

    def __init__(
        self,
        folder: Path,
        most_groups: int = 1000,
        false_alarms: Path | None = None,
        discovery: Discovery | None = None,
        known: Mapping[str, bytes] | None = None,
        alerts: Alerts | None = None,
        **window_settings: Any,
    ) -> None:
        loaded = bundle.load(folder)
        self.clock = 0.0
        self.calls: list[str] = []
        self.groups: list[list[str]] = []
        self.sent: list[Outgoing] = []
        self.acknowledged: list[Delivery] = []
        self.refusals: list[Refusal] = []
        self.events: list[AlertEvent] = []
        self.unreadable_groups: list[str] = []
        self.broken = False
        self.saves = self.secures = True
        """Whether what is committed is permanent at once, and whether what is asked for is."""
        self.secured: list[list[str]] = []
        self.dropped = 0
        self.room: int | None = None
        """How many states the broker takes in a turn; None: any number."""
        self._script: list[tuple[float, Taken]] = []
        self._stop = threading.Event()
        self.metrics = Metrics(CollectorRegistry(), loaded.manifest)
        windows = WindowSettings(stale_after=60, **window_settings)
        chain = build_scoring(loaded, windows, alerts or Alerts(clear_after=1))
        decode = DecodeStage([Template("p/{group}")], NAMES, {})
        self.memory = Memory(chain, 60.0)
        for group, value in (known or {}).items():
            self.memory.load(group, value, self.clock)
        kept = FalseAlarms(false_alarms or folder / "unused.csv", NAMES, 3)
        self.desk = Desk(self.memory, Mutes(), kept, wall=lambda: NOW + self.clock)
        self.forgotten, self.reborn = threading.Event(), threading.Event()
        self.herald = Herald(
            self.memory, self.desk.mutes, loaded.manifest, discovery, self.forgotten, self.reborn, self.clock
        )
        self.pipeline = Pipeline(
            self, decode, self.memory, self.desk, self.herald, most_groups, self.metrics, self,
            monotonic=lambda: self.clock,
        )  # fmt: skip

    def run(self, *batches: tuple[float, list[Delivery] | Taken], overflowed: int = 0) -> None:
        """Let the pipeline take each batch at its monotonic time, and then stop."""
        self._script = [
            (at, batch if isinstance(batch, Taken) else taken(batch, overflowed)) for at, batch in batches
        ]
        self._stop.clear()
        self.pipeline.run(self._stop)

    def take(self, timeout: float) -> Taken:
        assert timeout >= 0
        if not self._script:
            self._stop.set()
            return taken([])
        self.calls.append("take")
        self.clock, batch = self._script.pop(0)
        return batch

    def commit(self, groups: Iterable[str], messages: Iterable[Outgoing]) -> bool:
        if self.broken:
            raise OSError("no space left on device")
        self.calls.append("commit")
        self.groups.append(list(groups))
        self.sent.extend(messages)
        return self.saves

    def secure(self, groups: Iterable[str]) -> bool:
        self.secured.append(list(groups))
        return self.secures

    def emit(self, states: Iterator[Outgoing]) -> bool:
        self.calls.append("emit")
        self.sent.extend(islice(states, self.room))
        return True

    def acknowledge(self, messages: Sequence[Delivery]) -> None:
        self.calls.append("acknowledge")
        self.acknowledged.extend(messages)

    def refused(self, refusals: Sequence[Refusal]) -> None:
        self.refusals.extend(refusals)

    def overflowed(self, count: int) -> None:
        self.dropped += count

    def unreadable(self, reasons: Sequence[str]) -> None:
        self.unreadable_groups.extend(reasons)

    def alerted(self, events: Sequence[AlertEvent]) -> None:
        self.events.extend(events)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"sensor_monitor_{name}", labels)

    def outcomes(self) -> dict[str, float]:
        counts = {outcome.value: self.value("readings_total", outcome=outcome.value) for outcome in Outcome}
        return {outcome: count for outcome, count in counts.items() if count}

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(message.payload) for message in self.sent if message.topic.startswith(kind)]


def message(ts: float, values: Sequence[object] = HEALTHY, topic: str = "p/g") -> Delivery:
    """Return a message with one reading, `ts` seconds after NOW."""
    payload = json.dumps({"ts": NOW + ts, **dict(zip(NAMES, values, strict=True))}).encode()
    return topic, payload, object(), False


def taken(messages: list[Delivery], overflowed: int = 0) -> Taken:
    """Return messages that arrived NOW, at the monotonic time 0."""
    now = np.full(len(messages), NOW)
    return Taken(messages, Arrivals(now, now, np.zeros(len(messages))), overflowed)
