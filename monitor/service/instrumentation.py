"""Reports what the pipeline does: to metrics, log, watchdog and live page."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.core.messages import MessageBatch
from monitor.core.readings import Outcome, Readings
from monitor.core.values import ValueOutcome, Values
from monitor.core.verdicts import FAULTY, NORMAL, AlertEvent, Detector, GroupStatus, State
from monitor.detect.mixed_senders import MixedSenders
from monitor.detect.scoring import ScoredBatch
from monitor.ingest.alignment import AlignedBatch
from monitor.ingest.decoded_messages import DecodedMessages
from monitor.service.input_watch import InputWatch
from monitor.service.ports import BatchObserver, EventLog
from monitor.service.rejections import out_of_order, rejected_values, stale_readings
from monitor.telemetry.metrics import Metrics

__all__ = ["BatchResult", "Instrumentation"]

# Seconds between two batches that are searched for mixed senders, which takes 12 µs for one reading.
_SENDERS_INTERVAL_S = 1.0


@dataclass(slots=True)  # not frozen, which would take 1 µs more per batch
class BatchResult:
    """The results of the pipeline for one batch of messages."""

    batch: MessageBatch
    decoded: DecodedMessages
    aligned: AlignedBatch | None
    """None if all messages are readings."""
    readings: Readings
    """The readings that were judged."""
    scored: ScoredBatch
    decided_at: float
    """Time at which scoring ended, monotonic seconds."""
    statuses: Sequence[GroupStatus]
    """Statuses of the groups whose status changed."""
    events: Sequence[AlertEvent]
    """Alert events to publish."""


class _NullObserver:
    def observe(self, readings: Readings, scored: ScoredBatch, statuses: Sequence[GroupStatus]) -> None:
        pass

    def forget(self, names: Sequence[str]) -> None:
        pass


class Instrumentation:
    """Measures and reports what the pipeline does; the pipeline's results don't depend on it.

    Parameters
    ----------
    metrics : the monitor's metrics.
    event_log : logs rejected readings and alerts.
    features : names of the features, in the bundle's order.
    feed_watchdog : called in each iteration.
    observer : receives each batch, for the live page; None if there is no page.
    input_watch : finds out that nothing can be judged; None if nobody asks.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        *,
        metrics: Metrics,
        event_log: EventLog,
        features: Sequence[str] = (),
        feed_watchdog: Callable[[], None] = lambda: None,
        observer: BatchObserver | None = None,
        input_watch: InputWatch | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._event_log = event_log
        self._features = features
        self._feed_watchdog = feed_watchdog
        self._observer = observer or _NullObserver()
        self._input_watch = input_watch
        self.monotonic = monotonic
        """The pipeline's clock; returns monotonic seconds."""
        self._mixed_senders = MixedSenders()
        self._next_senders_at = monotonic()
        self.last_iteration_at = monotonic()
        """Start of the pipeline's last iteration, monotonic seconds; if it is not recent, the pipeline
        hangs."""

    def start_iteration(self) -> float:
        """Record the start of an iteration; return its time, monotonic seconds."""
        self.last_iteration_at = self.monotonic()
        self._feed_watchdog()
        return self.last_iteration_at

    def observe(self, result: BatchResult) -> None:
        """Pass a batch to the observer, unless it has neither messages nor changed statuses."""
        if result.batch.messages or result.statuses:
            self._observer.observe(result.readings, result.scored, result.statuses)

    def record(self, result: BatchResult) -> None:
        """Update the metrics, and log the rejected readings and the alerts of a batch."""
        scored, overflow_count = result.scored, result.batch.overflow_count
        counts = self._count_outcomes(result)
        for event in result.events:
            self._metrics.alerts_by_status[event.status].inc()
        self._observe_latency(result)
        rejected = result.decoded.rejected + out_of_order(result.readings, scored)
        if rejected:
            self._event_log.log_rejected(rejected)
        if result.decoded.values is not None:
            self._record_values(result, result.decoded.values)
        if self._input_watch:
            self._input_watch.add(
                result.readings, scored.windows.outcomes, counts, rejected, result.decided_at
            )
            for kind, problem in self._input_watch.problems.items():
                self._event_log.log_input_problem(kind, problem)
        if overflow_count:
            self._event_log.log_overflow(overflow_count)
        if result.batch.excess:
            self._event_log.log_excess(Counter(result.batch.excess))
        if result.events:
            self._event_log.log_alerts(result.events)
        windows = scored.judged_windows
        if len(windows.groups) and result.decided_at >= self._next_senders_at:
            self._next_senders_at = result.decided_at + _SENDERS_INTERVAL_S
            self._event_log.log_mixed_senders(self._mixed_senders.find(windows.groups, windows.values))

    def record_clock_step(self, step: float, group_count: int) -> None:
        """Log that the wall clock was set by `step` seconds, and how many groups begin afresh therefore."""
        self._event_log.log_clock_step(step, group_count)

    def record_muted_incidents(self, events: Sequence[AlertEvent]) -> None:
        """Count and log the incidents that began in muted groups, given their first events."""
        if events:
            self._metrics.operators.incidents_muted.inc(len(events))
            self._event_log.log_muted_incidents(events)

    def record_silent(self, statuses: Sequence[GroupStatus]) -> None:
        """Log groups that fell silent, given their statuses."""
        if statuses:
            self._event_log.log_silent([status.group for status in statuses])

    def record_evicted(self, groups: Sequence[str]) -> None:
        """Count groups that were evicted from memory, and drop them from the page."""
        self._metrics.groups_set_aside.inc(len(groups))
        self._observer.forget(groups)

    def record_forgotten(self, groups: Sequence[str]) -> None:
        """Count groups that were removed for good, and drop them from the page."""
        self._metrics.groups_forgotten.inc(len(groups))
        self._observer.forget(groups)
        for group in groups:
            self._mixed_senders.forget(group)

    def record_load_errors(self, reasons: Sequence[str]) -> None:
        """Log groups whose stored state can't be read, and which therefore start as new groups."""
        if reasons:
            self._metrics.store_discarded.labels("group").inc(len(reasons))
            self._event_log.log_load_errors(reasons)

    def set_gauges(self, state_counts: Counter[State], firing_count: int) -> None:
        """Set the gauges of groups by state and of open incidents."""
        self._metrics.set_state_counts(state_counts)
        self._metrics.alerts_firing.set(firing_count)

    def _count_outcomes(self, result: BatchResult) -> Counter[Outcome]:
        """Update the counters of a batch; return its outcomes."""
        metrics, scored, overflow_count = self._metrics, result.scored, result.batch.overflow_count
        outcomes = Counter(scored.windows.outcomes)
        if result.decoded.rejected or overflow_count or result.batch.excess:
            outcomes.update(reading.outcome for reading in result.decoded.rejected)
            if result.aligned is None:
                outcomes[Outcome.OVERFLOW] += overflow_count
                outcomes[Outcome.EXCESS] += len(result.batch.excess)
        if result.aligned is not None and result.aligned.stale.groups:
            outcomes[Outcome.STALE] += len(result.aligned.stale.groups)
        metrics.count_outcomes(outcomes)
        windows = len(scored.judged_windows.groups)
        if not windows:
            return outcomes
        faulty = int(np.count_nonzero(scored.judged_windows.faulty))
        for counter, count in (
            (metrics.predictions_by_label[FAULTY], faulty),
            (metrics.predictions_by_label[NORMAL], windows - faulty),
            (metrics.out_of_range, int(np.count_nonzero(scored.judged_windows.out_of_range))),
        ):
            if count:  # an increment takes 2 µs, and in a batch of one reading two of the counts are 0
                counter.inc(count)
        if faulty:
            detectors = np.bincount(scored.judged_windows.detectors, minlength=len(Detector))
            for detector, counter in metrics.faulty_windows_by_detector.items():
                if detectors[detector]:
                    counter.inc(int(detectors[detector]))
        metrics.batch_windows.observe(windows)
        return outcomes

    def _record_values(self, result: BatchResult, values: Values) -> None:
        """Count the values by outcome, and log those that were dropped and the stale features."""
        aligned, rejected = result.aligned, list(result.decoded.rejected_values)
        outcomes = Counter(value.outcome for value in rejected)
        if aligned is not None:
            outcomes.update(aligned.outcomes)
            if result.batch.overflow_count:
                outcomes[ValueOutcome.OVERFLOW] = result.batch.overflow_count
            if result.batch.excess:
                outcomes[ValueOutcome.EXCESS] = len(result.batch.excess)
            rejected += rejected_values(values, aligned)
            if self._input_watch:
                self._input_watch.add_values(values, aligned, outcomes, rejected, result.decided_at)
            if aligned.stale.groups:
                self._event_log.log_rejected(stale_readings(aligned.stale, self._features))
        self._metrics.count_value_outcomes(outcomes)
        if rejected:
            self._event_log.log_rejected_values(rejected)

    def _observe_latency(self, result: BatchResult) -> None:
        readings, values = result.readings, result.decoded.values
        has_values = values is not None and len(values.groups) > 0
        if result.batch.messages and (has_values or len(readings.groups)):
            self._metrics.last_reading.set(result.batch.arrivals.arrived_at[-1])
        self._metrics.reading_latency_seconds.observe(
            result.decided_at - readings.arrived_monotonic[result.scored.windows.reading_indices]
        )
