"""All metrics, on a registry that is passed in; every known series exists with 0 from the start."""

import time
from collections import Counter as Counts
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from monitor import __version__
from monitor.bundle.manifest import Manifest
from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome
from monitor.core.values import ValueOutcome
from monitor.core.verdicts import FAULTY, NORMAL, Detector, State
from monitor.detect.drift import DriftStage
from monitor.detect.model_stage import Scorer
from monitor.telemetry.batch_histogram import BatchHistogram
from monitor.telemetry.external_counter import ExternalCounter
from monitor.telemetry.feature_ages import FeatureAges
from monitor.telemetry.http_refusals import HttpRefusals
from monitor.telemetry.operator_metrics import OperatorMetrics
from monitor.telemetry.sensitivity import Sensitivity

__all__ = ["Metrics", "TimedScorer"]

_PREFIX = "sensor_monitor_"
# From one window on an idle machine (0.06 ms of inference, 0.5 ms end to end) to a backlog of seconds.
_SECONDS_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# An alert waits as long as the broker is away.
_DELIVERY_BUCKETS = (*_SECONDS_BUCKETS, 60.0, 600.0)
_BATCH_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_DISCARDED_KINDS = ("store", "group", "message", "mute", "filter", "birth")


class Metrics:
    """The monitor's metrics.

    Parameters
    ----------
    registry : registers them.
    manifest : of the bundle in use, for `bundle_info`.
    """

    def __init__(self, registry: CollectorRegistry, manifest: Manifest) -> None:
        # Process-wide: the library has no switch for a registry. `_created` would double the series of
        # counters, and says what process_start_time_seconds says.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        ProcessCollector(registry=registry)
        self.readings = Counter(f"{_PREFIX}readings", "Readings by outcome.", ["outcome"], registry=registry)
        self.values = Counter(
            f"{_PREFIX}values",
            "Values that come by messages of their own, by outcome; 0 where messages are readings.",
            ["outcome"],
            registry=registry,
        )
        self.predictions = Counter(
            f"{_PREFIX}predictions", "Judged windows by label.", ["label"], registry=registry
        )
        self.faulty_windows = Counter(
            f"{_PREFIX}faulty_windows",
            "Faulty windows by what called them so: the model, or a check.",
            ["detector"],
            registry=registry,
        )
        self.out_of_range = Counter(
            f"{_PREFIX}out_of_range", "Judged windows with a value far outside training.", registry=registry
        )
        self.inference_seconds = Histogram(
            f"{_PREFIX}inference_seconds",
            "Time in the model, a batch.",
            buckets=_SECONDS_BUCKETS,
            registry=registry,
        )
        self.reading_latency_seconds = BatchHistogram(
            f"{_PREFIX}reading_latency_seconds",
            "From a reading's arrival to the decision on it.",
            _SECONDS_BUCKETS,
            registry,
        )
        self.alert_delivery_seconds = BatchHistogram(
            f"{_PREFIX}alert_delivery_seconds",
            "From a reading's arrival to the broker's confirmation of its alert; with QoS 0, to its sending.",
            _DELIVERY_BUCKETS,
            registry,
        )
        self.batch_windows = Histogram(
            f"{_PREFIX}batch_windows",
            "Windows judged in one batch.",
            buckets=_BATCH_SIZE_BUCKETS,
            registry=registry,
        )
        self.alerts = Counter(f"{_PREFIX}alerts", "Alert events by status.", ["status"], registry=registry)
        self.alerts_firing = Gauge(f"{_PREFIX}alerts_firing", "Incidents that are open.", registry=registry)
        self.groups = Gauge(f"{_PREFIX}groups", "Groups by state.", ["state"], registry=registry)
        self.groups_set_aside = Counter(
            f"{_PREFIX}groups_set_aside", "Groups evicted because of input.max_groups.", registry=registry
        )
        self.groups_forgotten = Counter(
            f"{_PREFIX}groups_forgotten",
            "Groups removed for good, on request or because of input.forget_after.",
            registry=registry,
        )
        self.store_failures = Counter(
            f"{_PREFIX}store_failures", "Attempts to write the store that failed.", registry=registry
        )
        self.store_discarded = Counter(
            f"{_PREFIX}store_discarded",
            "What the store held and can't be used. kind store: all of it, and it was renamed; else rows.",
            ["kind"],
            registry=registry,
        )
        for kind in _DISCARDED_KINDS:
            self.store_discarded.labels(kind)
        self.reloads = Counter(f"{_PREFIX}reloads", "Reloads by result.", ["result"], registry=registry)
        self.queue_readings = Gauge(
            f"{_PREFIX}queue_readings", "Messages that arrived and wait to be decoded.", registry=registry
        )
        self.mqtt_connected = Gauge(
            f"{_PREFIX}mqtt_connected",
            "1 while all connections to the broker are up, that of the input and that of the output.",
            registry=registry,
        )
        self._connection_up = Gauge(
            f"{_PREFIX}mqtt_connection_up",
            "1 while this connection to the broker is up; input: readings, output: alerts and states.",
            ["connection"],
            registry=registry,
        )
        self.mqtt_reconnects = Counter(
            f"{_PREFIX}mqtt_reconnects", "Connections made after the first.", registry=registry
        )
        self.session_takeovers = Counter(
            f"{_PREFIX}mqtt_session_takeovers",
            "Connections that the broker ended because another client connected with their client id.",
            registry=registry,
        )
        self.sessions_lost = Counter(
            f"{_PREFIX}mqtt_sessions_lost",
            "Connections on which the broker had lost the session, with the readings that waited there.",
            registry=registry,
        )
        self.messages_refused = Counter(
            f"{_PREFIX}messages_refused",
            "Lost messages: the broker refused or can't take them, or too many before them were unconfirmed.",
            registry=registry,
        )
        self._log_lines_dropped = ExternalCounter(
            f"{_PREFIX}log_lines_dropped",
            "Log lines dropped because nobody read the log, or it couldn't be written.",
            registry,
        )
        self.last_reading = Gauge(
            f"{_PREFIX}last_reading_timestamp_seconds",
            "When the last readable reading arrived, Unix time.",
            registry=registry,
        )
        self._drift_psi = Gauge(
            f"{_PREFIX}drift_psi",
            "Population stability index of the newest readings against training.",
            ["feature"],
            registry=registry,
        )
        self._beyond_training = Gauge(
            f"{_PREFIX}beyond_training_ratio",
            "Share of the newest readings outside the 0.1 % to 99.9 % quantiles of the training data.",
            ["feature"],
            registry=registry,
        )
        self.http_refusals = HttpRefusals(_PREFIX, registry)
        self.operators = OperatorMetrics(_PREFIX, registry)
        self._feature_ages = FeatureAges(_PREFIX, registry)
        self._sensitivity = Sensitivity(_PREFIX, registry)
        build_info = Gauge(
            f"{_PREFIX}build_info", "The version of the monitor.", ["version"], registry=registry
        )
        build_info.labels(__version__).set(1)
        self._bundle_info = Gauge(
            f"{_PREFIX}bundle_info",
            "The bundle in use.",
            ["id", "created", "features", "steps"],
            registry=registry,
        )
        self.set_bundle(manifest)
        self.set_connections(is_input_up=False, is_output_up=False)
        self.readings_by_outcome = {outcome: self.readings.labels(outcome.value) for outcome in Outcome}
        self.values_by_outcome = {outcome: self.values.labels(outcome.value) for outcome in ValueOutcome}
        self.predictions_by_label = {label: self.predictions.labels(label) for label in (NORMAL, FAULTY)}
        self.faulty_windows_by_detector = {
            detector: self.faulty_windows.labels(detector.label) for detector in Detector if detector
        }
        self.alerts_by_status = {status: self.alerts.labels(status) for status in ("firing", "resolved")}
        self.reloads_by_result = {result: self.reloads.labels(result) for result in ("done", "refused")}
        self.groups_by_state = {state: self.groups.labels(state.value) for state in State}
        self._exported_counts = dict.fromkeys(State, 0)

    def set_bundle(self, manifest: Manifest) -> None:
        """Set the bundle in use."""
        self._bundle_info.clear()
        features = ",".join(manifest.feature_names)
        self._bundle_info.labels(manifest.id, manifest.created, features, str(manifest.steps)).set(1)

    def set_connections(self, *, is_input_up: bool, is_output_up: bool) -> None:
        """Set which connections to the broker are up."""
        self._connection_up.labels("input").set(is_input_up)
        self._connection_up.labels("output").set(is_output_up)
        self.mqtt_connected.set(is_input_up and is_output_up)

    def watch_queue(self, length: Callable[[], float]) -> None:
        """Export the length of the receive queue, read at each scrape."""
        self.queue_readings.set_function(length)

    def watch_log(self, dropped_count: Callable[[], int]) -> None:
        """Export how many log lines were dropped, read at each scrape."""
        self._log_lines_dropped.read = dropped_count

    def watch_drift(self, drift: Callable[[], DriftStage]) -> None:
        """Export the drift of each monitored feature, computed at each scrape.

        Parameters
        ----------
        drift : returns the drift stage of the bundle in use.
        """
        for gauge, measure in (
            (self._drift_psi, DriftStage.psi),
            (self._beyond_training, DriftStage.beyond_training_ratio),
        ):
            gauge.clear()
            for index, name in enumerate(drift().feature_names):
                gauge.labels(name).set_function(partial(_drift_value, measure, drift, index))

    def watch_feature_ages(
        self, features: Sequence[str], max_ages: Sequence[float], ages: Callable[[], FloatArray]
    ) -> None:
        """Export the ages of features, computed at each scrape; see `FeatureAges.watch`."""
        self._feature_ages.watch(features, max_ages, ages)

    def watch_shows_from(self, features: Sequence[str], offsets: Callable[[], FloatArray]) -> None:
        """Export what offsets would be called Faulty, computed at each scrape; see `Sensitivity.watch`."""
        self._sensitivity.watch(features, offsets)

    def count_outcomes(self, counts: Counts[Outcome]) -> None:
        """Add the outcomes of a batch."""
        for outcome, count in counts.items():
            self.readings_by_outcome[outcome].inc(count)

    def count_value_outcomes(self, counts: Counts[ValueOutcome]) -> None:
        """Add the outcomes of a batch of values."""
        for outcome, count in counts.items():
            self.values_by_outcome[outcome].inc(count)

    def set_state_counts(self, counts: Counts[State]) -> None:
        """Set how many groups are in each state."""
        for state, exported in self._exported_counts.items():
            if counts[state] != exported:  # rarely; setting a gauge takes 3 µs
                self._exported_counts[state] = counts[state]
                self.groups_by_state[state].set(counts[state])


def _drift_value(
    measure: Callable[[DriftStage], FloatArray], drift: Callable[[], DriftStage], index: int
) -> float:
    values = measure(drift())
    # While a reload replaces the bundle, the new drift stage may have fewer features than there are gauges.
    return float(values[index]) if index < len(values) else 0.0


class TimedScorer:
    """Wraps a scorer and observes the duration of each batch.

    Parameters
    ----------
    scorer : the model.
    seconds : histogram of seconds per batch.
    """

    def __init__(self, scorer: Scorer, seconds: Histogram) -> None:
        self._scorer = scorer
        self._seconds = seconds

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of scaled windows (window, step, feature): (window,)."""
        if not len(scaled):
            return np.empty(0)
        begin = time.perf_counter()
        scores = self._scorer.score(scaled)
        self._seconds.observe(time.perf_counter() - begin)
        return scores
