"""A pipeline in memory, with ports that a test controls."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from monitor import bundle
from monitor.bundle.manifest import Manifest
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.messages import InboundMessage, MessageBatch, OutboundMessage
from monitor.core.readings import Arrivals, Outcome, RejectedReading
from monitor.core.topics import OwnTopics, Template
from monitor.core.values import RejectedValue
from monitor.core.verdicts import AlertEvent
from monitor.detect.scoring import Scoring
from monitor.groups.mutes import Mutes
from monitor.groups.state import GroupStates
from monitor.ingest.decode import DecodeStage
from monitor.operators.commands import OperatorCommands
from monitor.operators.false_alarms import FalseAlarmFile
from monitor.publish.home_assistant import Discovery
from monitor.publish.publisher import Publisher, RepublishSignals
from monitor.service.input_watch import InputWatch
from monitor.service.instrumentation import Instrumentation
from monitor.service.pipeline import Pipeline, Replacement
from monitor.service.ports import BatchObserver
from monitor.service.settings_to_stages import build_scoring, choose_max_gap, choose_stale_after
from monitor.telemetry.metrics import Metrics
from tests.support.toy_bundle import HEALTHY, NAMES

NOW = 1.7e9
DAY_S = 86_400.0
"""The wall clock, seconds since the Unix epoch."""
OUT_OF_RANGE = [70.0, 50.0, 70.5, 50.0]


class PipelineHarness:
    """The pipeline and its ports: passes it the batches of a test, and keeps the published messages."""

    def __init__(
        self,
        folder: Path,
        max_groups: int = 1000,
        false_alarms: Path | None = None,
        discovery: Discovery | None = None,
        stored: Mapping[str, bytes] | None = None,
        alerts: AlertSettings | None = None,
        observer: BatchObserver | None = None,
        **window_settings: Any,
    ) -> None:
        loaded = bundle.load(folder)
        self.clock = 0.0
        self.wall_offset = 0.0
        """Seconds by which the wall clock was set."""
        self.calls: list[str] = []
        self.committed_groups: list[list[str]] = []
        self.messages: list[OutboundMessage] = []
        self.acknowledged_messages: list[InboundMessage] = []
        self.rejected: list[RejectedReading] = []
        self.rejected_values: list[RejectedValue] = []
        self.events: list[AlertEvent] = []
        self.load_errors: list[str] = []
        self.muted_events: list[AlertEvent] = []
        self.mixed_senders: list[str] = []
        self.silent: list[str] = []
        self.input_problems: list[tuple[str, str]] = []
        self.clock_steps: list[tuple[float, int]] = []
        self.commit_raises = False
        self.commit_succeeds = self.commit_now_succeeds = True
        """The result that `commit` and `commit_now` return."""
        self.commit_now_calls: list[list[str]] = []
        self.overflow_count = 0
        self.max_states_per_turn: int | None = None
        """Maximum number of states that `emit` publishes; None: all."""
        self._batches: list[tuple[float, MessageBatch]] = []
        self._stop = threading.Event()
        self.metrics = Metrics(CollectorRegistry(), loaded.manifest)
        windows = WindowSettings(**window_settings)
        scoring = build_scoring(loaded, windows, alerts or AlertSettings(clear_after=1))
        decode = DecodeStage([Template("p/{group}")], NAMES, {}, OwnTopics("sensor-monitor"))
        self.groups = GroupStates(scoring, choose_stale_after(windows, loaded.manifest.sample_period))
        for group, value in (stored or {}).items():
            self.groups.load(group, value, self.clock)
        false_alarm_file = FalseAlarmFile(false_alarms or folder / "unused.csv", NAMES)
        self.commands = OperatorCommands(
            groups=self.groups,
            mutes=Mutes(),
            false_alarms=false_alarm_file,
            wall=lambda: NOW + self.clock + self.wall_offset,
        )
        signals = RepublishSignals()
        self.retained_lost, self.home_assistant_restarted = (
            signals.retained_lost,
            signals.home_assistant_restarted,
        )
        self.publisher = Publisher(
            groups=self.groups,
            mutes=self.commands.mutes,
            manifest=loaded.manifest,
            discovery=discovery,
            signals=signals,
            now=self.clock,
        )
        self.pipeline = Pipeline(
            ports=self,
            decode=decode,
            groups=self.groups,
            commands=self.commands,
            publisher=self.publisher,
            instrumentation=Instrumentation(
                metrics=self.metrics,
                event_log=self,
                observer=observer,
                input_watch=InputWatch(
                    steps=loaded.manifest.steps,
                    get_max_gap=lambda: choose_max_gap(windows, loaded.manifest.sample_period),
                ),
                monotonic=lambda: self.clock,
            ),
            max_groups=max_groups,
        )

    def run(self, *batches: tuple[float, list[InboundMessage] | MessageBatch], overflowed: int = 0) -> None:
        """Run the pipeline on batches, each at its monotonic time in seconds, and stop it."""
        self._batches = [
            (now, batch if isinstance(batch, MessageBatch) else message_batch(batch, overflowed))
            for now, batch in batches
        ]
        self._stop.clear()
        self.pipeline.run(self._stop)

    def replace(self, scoring: Scoring, manifest: Manifest, stale_after: float) -> Replacement:
        """Replace the pipeline's stages before its next batch."""
        replacement = Replacement(scoring, manifest, stale_after, self.commands.false_alarms)
        self.pipeline.replace(replacement)
        return replacement

    def take(self, timeout: float) -> MessageBatch:
        assert timeout >= 0
        if not self._batches:
            self._stop.set()
            return message_batch([])
        self.calls.append("take")
        self.clock, batch = self._batches.pop(0)
        return batch

    def commit(
        self, groups: Iterable[str], messages: Iterable[OutboundMessage], births: Mapping[str, bytes]
    ) -> bool:
        assert births == {}
        if self.commit_raises:
            raise OSError("no space left on device")
        self.calls.append("commit")
        self.committed_groups.append(list(groups))
        self.messages.extend(messages)
        return self.commit_succeeds

    def commit_now(self, groups: Iterable[str]) -> bool:
        self.commit_now_calls.append(list(groups))
        return self.commit_now_succeeds

    def emit(self, states: Iterator[OutboundMessage]) -> bool:
        self.calls.append("emit")
        self.messages.extend(islice(states, self.max_states_per_turn))
        return True

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        self.calls.append("acknowledge")
        self.acknowledged_messages.extend(messages)

    def log_rejected(self, rejected: Sequence[RejectedReading]) -> None:
        self.rejected.extend(rejected)

    def log_rejected_values(self, rejected: Sequence[RejectedValue]) -> None:
        """Keep the rejected values."""
        self.rejected_values += rejected

    def log_overflow(self, count: int) -> None:
        self.overflow_count += count

    def log_mixed_senders(self, groups: Sequence[str]) -> None:
        self.mixed_senders.extend(groups)

    def log_silent(self, groups: Sequence[str]) -> None:
        self.silent.extend(groups)

    def log_input_problem(self, kind: str, problem: str) -> None:
        self.input_problems.append((kind, problem))

    def log_clock_step(self, step: float, group_count: int) -> None:
        self.clock_steps.append((step, group_count))

    def log_muted_incidents(self, events: Sequence[AlertEvent]) -> None:
        self.muted_events.extend(events)

    def log_load_errors(self, reasons: Sequence[str]) -> None:
        self.load_errors.extend(reasons)

    def log_alerts(self, events: Sequence[AlertEvent]) -> None:
        self.events.extend(events)

    def metric_value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"sensor_monitor_{name}", labels)

    def outcomes(self) -> dict[str, float]:
        counts = {
            outcome.value: self.metric_value("readings_total", outcome=outcome.value) for outcome in Outcome
        }
        return {outcome: count for outcome, count in counts.items() if count}

    def payloads(self, topic_prefix: str) -> list[dict[str, Any]]:
        return [
            json.loads(message.payload) for message in self.messages if message.topic.startswith(topic_prefix)
        ]


def message(ts: float, values: Sequence[object] = HEALTHY, topic: str = "p/g") -> InboundMessage:
    """Return a message with one reading, `ts` seconds after NOW."""
    payload = json.dumps({"ts": NOW + ts, **dict(zip(NAMES, values, strict=True))}).encode()
    return topic, payload, object(), False


def message_batch(messages: list[InboundMessage], overflowed: int = 0) -> MessageBatch:
    """Return messages that arrived a day after NOW, at the monotonic time 0: no reading is ahead of it."""
    arrived_at = np.full(len(messages), NOW + DAY_S)
    arrivals = Arrivals(arrived_at, arrived_at, np.zeros(len(messages)))
    return MessageBatch(messages, arrivals, overflowed, 0.0)
