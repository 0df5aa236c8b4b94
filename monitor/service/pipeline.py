"""The loop: take a batch, judge it, commit, emit, acknowledge. Its parts are arguments."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from monitor.bundle.manifest import Manifest
from monitor.core.messages import InboundMessage, MessageBatch, OutboundMessage
from monitor.core.readings import Outcome, Readings, RejectedReading
from monitor.core.verdicts import FAULTY, NORMAL, AlertEvent, GroupStatus
from monitor.detect.scoring import ScoredBatch, Scoring
from monitor.groups.state import GroupStates
from monitor.ingest.decode import DecodeStage
from monitor.operators.commands import OperatorCommands
from monitor.publish.publisher import Publisher
from monitor.telemetry.metrics import Metrics

__all__ = ["Pipeline", "PipelinePorts", "ScoringReplacement"]

# How often, in seconds, an idle pipeline looks for silent groups and shows that it is alive.
_IDLE_TIMEOUT_S = 0.5
_TIMESTAMP_REASONS = {
    Outcome.DUPLICATE: "its ts is that of the reading before",
    Outcome.LATE: "its ts is before that of the reading before",
    Outcome.FUTURE: "its ts is ahead of this machine's clock",
    Outcome.RETAINED: "retained, and its group is silent",
    Outcome.GAP: "its ts is more than windows.max_gap after the reading before, so the window starts afresh",
}
# How long a pipeline that stops goes on with what waits, in seconds: under a flood there is no end to it, and
# with QoS 1 the broker keeps what isn't acknowledged.
_DRAIN_TIMEOUT_S = 1.0
# How long the last events may then take to be confirmed, in seconds.
_CONFIRM_TIMEOUT_S = 2.0
# How often the farewell looks for confirmations, in seconds.
_CONFIRM_POLL_S = 0.02


class PipelinePorts(Protocol):
    """What the pipeline knows of the world."""

    def take(self, timeout: float) -> MessageBatch:
        """Return all that waits; wait for something at most `timeout` seconds."""

    def commit(self, groups: Iterable[str], messages: Iterable[OutboundMessage]) -> bool:
        """Make the changed groups' state and the messages to send permanent; return whether all is."""

    def commit_now(self, groups: Iterable[str]) -> bool:
        """Make these groups' state permanent now; return whether it is."""

    def emit(self, states: Iterator[OutboundMessage]) -> bool:
        """Publish what is committed, then as many states as there is room for; return if all is confirmed."""

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Say that these messages need not come again."""


class EventLog(Protocol):
    """Is told what the pipeline met, for people to read."""

    def log_rejected(self, rejected: Sequence[RejectedReading]) -> None:
        """Take note of dropped readings, and why."""

    def log_overflow(self, count: int) -> None:
        """Take note of messages that found no room."""

    def log_alerts(self, events: Sequence[AlertEvent]) -> None:
        """Take note of incidents that began or ended."""

    def log_load_errors(self, reasons: Sequence[str]) -> None:
        """Take note of groups whose state in the store can't be read, so that they begin afresh."""


class BatchObserver(Protocol):
    """Is shown each batch while the pipeline waits: it looks at it later, and elsewhere."""

    def observe(self, readings: Readings, scored: ScoredBatch, statuses: Sequence[GroupStatus]) -> None:
        """Take a batch, what came of it, and the lines that changed."""

    def forget(self, names: Sequence[str]) -> None:
        """Hear of groups that were set aside."""


class _NullObserver:
    def observe(self, readings: Readings, scored: ScoredBatch, statuses: Sequence[GroupStatus]) -> None:
        pass

    def forget(self, names: Sequence[str]) -> None:
        pass


@dataclass(frozen=True, slots=True)
class ScoringReplacement:
    """Stages that take over from those in use."""

    scoring: Scoring
    manifest: Manifest
    stale_after: float
    """Seconds."""
    done: threading.Event = field(default_factory=threading.Event)
    """Set once they have."""


class Pipeline:
    """Runs the stages on what arrives.

    Parameters
    ----------
    ports : where readings come from and events go.
    decode : the first stage.
    groups : the others, and what is known of each group.
    commands : does what operators ask for.
    publisher : puts into messages what is to be said.
    max_groups : how many groups are held in memory; the least recently heard beyond it are set aside.
    metrics, event_log : look on.
    heartbeat : is called at each turn.
    observer : is shown each batch.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        ports: PipelinePorts,
        decode: DecodeStage,
        groups: GroupStates,
        commands: OperatorCommands,
        publisher: Publisher,
        max_groups: int,
        metrics: Metrics,
        event_log: EventLog,
        heartbeat: Callable[[], None] = lambda: None,
        observer: BatchObserver | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ports = ports
        self._decode = decode
        self._groups = groups
        self._commands = commands
        self._publisher = publisher
        self._max_groups = max_groups
        self._metrics = metrics
        self._event_log = event_log
        self._heartbeat = heartbeat
        self._observer = observer or _NullObserver()
        self._monotonic = monotonic
        self._replacements: queue.SimpleQueue[ScoringReplacement] = queue.SimpleQueue()
        self.last_iteration_at = monotonic()
        """When the loop last came round, monotonic seconds: it is alive if this is recent."""

    def replace_scoring(self, scoring: Scoring, manifest: Manifest, stale_after: float) -> ScoringReplacement:
        """Let other stages judge from the next turn on, with the same windows and incidents."""
        replacement = ScoringReplacement(scoring, manifest, stale_after)
        self._replacements.put(replacement)
        return replacement

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then judge what still waits and see its events delivered."""
        self._update_gauges()
        while not stop.is_set():
            self._process_batch(_IDLE_TIMEOUT_S)
        deadline = self._monotonic() + _DRAIN_TIMEOUT_S
        while self._process_batch(0.0) and self._monotonic() < deadline:
            pass
        deadline = self._monotonic() + _CONFIRM_TIMEOUT_S
        while not self._ports.emit(self._publisher.state_messages()) and self._monotonic() < deadline:
            time.sleep(_CONFIRM_POLL_S)

    def _process_batch(self, timeout: float) -> bool:
        """Deal with one batch; return whether there was any."""
        batch = self._ports.take(timeout)
        self.last_iteration_at = self._monotonic()
        self._heartbeat()
        self._apply_replacements()
        groups = self._groups
        silent_statuses = groups.status.mark_silent(self.last_iteration_at)
        for status in silent_statuses:
            groups.scoring.windows.mark_silent(status.group)
        readings, rejected = self._decode.decode(batch.messages, batch.arrivals)
        groups.load_evicted(readings.groups, self.last_iteration_at)
        scored = groups.scoring.judge(readings)
        decided_at = self._monotonic()
        changed_statuses = groups.status.update(readings, scored, self.last_iteration_at)
        changes = self._commands.process(scored.events, changed_statuses, self.last_iteration_at)
        changed_statuses += groups.status.refresh(changes.groups_to_publish)
        saved = self._ports.commit(
            dict.fromkeys(
                [*(status.group for status in silent_statuses), *readings.groups, *changes.changed_groups]
            ),
            self._publisher.messages(changes, [*silent_statuses, *changed_statuses], self.last_iteration_at),
        )
        self._ports.emit(self._publisher.state_messages())
        self._ports.acknowledge(batch.messages)
        if self._commands.pending_groups is not None and (
            saved or self._ports.commit_now(self._commands.pending_groups)
        ):
            self._commands.send_responses()
        if batch.messages or silent_statuses or changed_statuses:
            self._observer.observe(readings, scored, [*silent_statuses, *changed_statuses])
        # What isn't permanent yet is held longer, though not without end.
        self._evict(self._max_groups * (1 if saved else 2))
        groups.scoring.learn_pending(scored)
        self._count_outcomes(batch, rejected, scored)
        for event in changes.events:
            self._metrics.alerts_by_status[event.status].inc()
        self._observe_latency(readings, scored, decided_at)
        rejected += _out_of_order(readings, scored)
        if rejected:
            self._event_log.log_rejected(rejected)
        if batch.overflow_count:
            self._event_log.log_overflow(batch.overflow_count)
        if changes.events:
            self._event_log.log_alerts(changes.events)
        if groups.load_errors:
            self._event_log.log_load_errors(groups.load_errors)
            groups.load_errors.clear()
        return bool(batch.messages)

    def _apply_replacements(self) -> None:
        while not self._replacements.empty():
            replacement = self._replacements.get()
            self._groups.replace_scoring(replacement.scoring)
            self._groups.status.stale_after = replacement.stale_after
            self._publisher.manifest = replacement.manifest
            replacement.done.set()

    def _evict(self, limit: int) -> None:
        names = self._groups.groups_over_limit(limit)
        if not names:
            return
        self._publisher.add_final_messages(names)
        self._groups.evict(names)
        self._metrics.groups_set_aside.inc(len(names))
        for name in names:
            self._decode.forget(name)
        self._observer.forget(names)

    def _count_outcomes(
        self, batch: MessageBatch, rejected: Sequence[RejectedReading], scored: ScoredBatch
    ) -> None:
        metrics = self._metrics
        outcomes = Counter(scored.windows.outcomes)
        if rejected or batch.overflow_count:
            outcomes.update(reading.outcome for reading in rejected)
            outcomes[Outcome.OVERFLOW] += batch.overflow_count
        metrics.count_outcomes(outcomes)
        self._update_gauges()
        windows = len(scored.judged_windows.groups)
        if not windows:
            return
        faulty = int(np.count_nonzero(scored.judged_windows.faulty))
        for counter, count in (
            (metrics.predictions_by_label[FAULTY], faulty),
            (metrics.predictions_by_label[NORMAL], windows - faulty),
            (metrics.out_of_range, int(np.count_nonzero(scored.judged_windows.out_of_range))),
        ):
            if count:  # to add takes 2 µs, and of a reading alone two of these are 0
                counter.inc(count)
        metrics.batch_windows.observe(windows)

    def _update_gauges(self) -> None:
        self._metrics.set_state_counts(self._groups.status.counts)
        self._metrics.alerts_firing.set(self._groups.scoring.alerts.firing_count)

    def _observe_latency(self, readings: Readings, scored: ScoredBatch, decided_at: float) -> None:
        if len(readings.groups):
            self._metrics.last_reading.set(readings.arrived_at[-1])
        self._metrics.reading_latency_seconds.observe(
            decided_at - readings.arrived_monotonic[scored.windows.reading_indices]
        )


def _out_of_order(readings: Readings, scored: ScoredBatch) -> list[RejectedReading]:
    """Return the readings whose event time didn't follow the one before, for the log."""
    outcomes = scored.windows.outcomes
    if not _TIMESTAMP_REASONS.keys() & set(outcomes):
        return []
    rejected = []
    for row, outcome in enumerate(outcomes):
        reason = _TIMESTAMP_REASONS.get(outcome)
        if reason:
            rejected.append(
                RejectedReading(outcome, readings.groups[row], f"{reason} (ts {readings.ts[row]:.3f})")
            )
    return rejected
