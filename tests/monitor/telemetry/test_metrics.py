from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.exposition import choose_encoder

from monitor import __version__
from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome
from monitor.core.values import ValueOutcome
from monitor.core.verdicts import State
from monitor.telemetry.batch_histogram import BatchHistogram
from monitor.telemetry.metrics import Metrics, TimedScorer
from tests.support.toy_bundle import NAMES, toy_manifest

OUTCOMES = [
    "judged",
    "filling",
    "warming",
    "skipped",
    "malformed",
    "unmatched",
    "duplicate",
    "late",
    "gap",
    "future",
    "overflow",
]
HISTOGRAMS = ("inference_seconds", "reading_latency_seconds", "alert_delivery_seconds", "batch_windows")


@pytest.fixture
def metrics() -> Metrics:
    """Metrics on a registry of their own."""
    return Metrics(CollectorRegistry(), toy_manifest())


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"sensor_monitor_{name}", labels)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        *[("readings_total", {"outcome": outcome}) for outcome in OUTCOMES],
        *[("predictions_total", {"label": label}) for label in ("Normal", "Faulty")],
        ("out_of_range_total", {}),
        *[(f"{histogram}_{part}", {}) for histogram in HISTOGRAMS for part in ("count", "sum")],
        *[("alerts_total", {"status": status}) for status in ("firing", "resolved")],
        ("alerts_firing", {}),
        *[("reloads_total", {"result": result}) for result in ("done", "refused")],
        *[("requests_total", {"result": result}) for result in ("done", "refused", "dropped")],
        *[(name, {}) for name in ("muted_groups", "incidents_muted_total")],
        *[(name, {}) for name in ("audit_file_failing", "audit_records_lost_total")],
        *[("groups", {"state": state}) for state in ("filling", "warming", "normal", "faulty", "silent")],
        ("queue_readings", {}),
        ("mqtt_connected", {}),
        *[("mqtt_connection_up", {"connection": connection}) for connection in ("input", "output")],
        *[("values_total", {"outcome": outcome.value}) for outcome in ValueOutcome],
        ("mqtt_reconnects_total", {}),
        ("messages_refused_total", {}),
        ("last_reading_timestamp_seconds", {}),
    ],
)
def test_series_exist_from_the_start(metrics: Metrics, name: str, labels: dict[str, str]) -> None:
    """Every known series exists with 0 before anything happens, under its documented name."""
    assert _value(metrics, name, **labels) == 0


def test_histograms_have_buckets(metrics: Metrics) -> None:
    """Each histogram has its buckets from the start."""
    for name in HISTOGRAMS:
        assert _value(metrics, f"{name}_bucket", le="+Inf") == 0


def test_bundle_info(metrics: Metrics) -> None:
    """The bundle in use is exported as a constant 1 with its id as a label."""
    samples = [
        sample
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "sensor_monitor_bundle_info"
    ]
    assert [sample.value for sample in samples] == [1]
    labels = samples[0].labels
    assert labels["id"] == toy_manifest().id
    assert (labels["features"], labels["steps"]) == (",".join(NAMES), "3")


def test_build_info(metrics: Metrics) -> None:
    """The version of the monitor is exported as a constant 1 with the version as its label."""
    assert _value(metrics, "build_info", version=__version__) == 1


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text"])
def test_no_times_of_creation(metrics: Metrics, accept: str) -> None:
    """No format has the time at which each series began: it would double the series of counters."""
    encode, content_type = choose_encoder(accept)
    assert content_type.startswith(accept)
    text = encode(metrics.registry).decode()
    assert "sensor_monitor_readings_total" in text
    assert "_created" not in text


def test_no_label_carries_a_group(metrics: Metrics) -> None:
    """No metric has a group's name as a label, which would be a series per group."""
    families = [family for family in metrics.registry.collect() if family.name.startswith("sensor_monitor")]
    labels = {label for family in families for sample in family.samples for label in sample.labels}
    assert labels == {
        *("outcome", "label", "status", "state", "result", "connection", "le", "detector", "reason"),
        *("id", "created", "features", "steps"),  # of the bundle
        "kind",  # of what the store held
        "version",
    }


def test_registries_share_nothing() -> None:
    """Metrics of two monitors in one process are independent."""
    first = Metrics(CollectorRegistry(), toy_manifest())
    second = Metrics(CollectorRegistry(), toy_manifest())
    first.out_of_range.inc()
    assert (_value(first, "out_of_range_total"), _value(second, "out_of_range_total")) == (1, 0)


def test_counting(metrics: Metrics) -> None:
    """Outcomes add up; counts of states are replaced, also by 0."""
    metrics.count_outcomes(Counter({Outcome.JUDGED: 3, Outcome.LATE: 1}))
    metrics.count_outcomes(Counter({Outcome.JUDGED: 2}))
    metrics.set_state_counts(Counter({State.NORMAL: 2, State.SILENT: 1}))
    metrics.set_state_counts(Counter({State.NORMAL: 1}))
    assert _value(metrics, "readings_total", outcome="judged") == 5
    assert _value(metrics, "readings_total", outcome="late") == 1
    assert (_value(metrics, "groups", state="normal"), _value(metrics, "groups", state="silent")) == (1, 0)


def test_queue_length_is_read_on_collect(metrics: Metrics) -> None:
    """The exported length of the queue is that at the time of the scrape."""
    queue: list[int] = []
    metrics.watch_queue(lambda: len(queue))
    queue.extend([1, 2])
    assert _value(metrics, "queue_readings") == 2


def test_shows_from(metrics: Metrics) -> None:
    """The offsets that show are exported as quantiles over the groups with a baseline, and nothing before."""
    labels = {"feature": "humidity_1", "quantile": "0.5"}
    assert _value(metrics, "shows_from", **labels) is None
    table = np.outer([1.0, np.nan, 2.0, 3.0], [0.5, 2.0, np.inf, 2.0])
    metrics.watch_shows_from(NAMES, lambda: table)
    assert _value(metrics, "shows_from", **labels) == 4.0
    assert _value(metrics, "shows_from", feature="temperature_1", quantile="1") == 1.5
    assert _value(metrics, "shows_from", feature="temperature_2", quantile="0.5") == np.inf
    table[:] = np.nan
    assert str(_value(metrics, "shows_from", **labels)) == "nan"


def test_feature_ages(metrics: Metrics) -> None:
    """Ages are quantiles over groups; a feature that a group never sent is infinitely old there.

    Where all messages are readings there are none.
    """
    labels = {"feature": NAMES[0], "quantile": "0.5"}
    assert _value(metrics, "feature_age_seconds", **labels) is None
    ages = np.full((1000, len(NAMES)), np.nan)
    ages[:100] = np.arange(1, 101)[:, None]  # the other rows are of no group
    ages[:, 1] = np.nan
    ages[:20, 2] = np.nan
    metrics.watch_feature_ages(NAMES, [450.0] * len(NAMES), lambda: ages)
    values = {
        (name, quantile): _value(metrics, "feature_age_seconds", feature=name, quantile=quantile)
        for name in NAMES[:3]
        for quantile in ("0.5", "0.9", "0.99", "1")
    }
    assert [values[NAMES[0], quantile] for quantile in ("0.5", "0.9", "0.99", "1")] == [51, 91, 100, 100]
    assert {values[NAMES[1], quantile] for quantile in ("0.5", "0.9", "0.99", "1")} == {float("inf")}
    assert [values[NAMES[2], quantile] for quantile in ("0.5", "0.9")] == [71, float("inf")]
    assert _value(metrics, "feature_max_age_seconds", feature=NAMES[0]) == 450
    ages[:] = np.nan
    assert str(_value(metrics, "feature_age_seconds", **labels)) == "nan"


def test_process_metrics(metrics: Metrics) -> None:
    """Memory and CPU time of the process are among the metrics."""
    assert b"process_resident_memory_bytes" in generate_latest(metrics.registry)


class _ConstantScorer:
    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        return np.full(len(scaled), 0.5)


def test_timed_scorer(metrics: Metrics) -> None:
    """A timed scorer returns the scorer's scores, and observes each batch that has windows once."""
    scorer = TimedScorer(_ConstantScorer(), metrics.inference_seconds)
    assert scorer.score(np.zeros((2, 3, 4), dtype=np.float32)).tolist() == [0.5, 0.5]
    assert scorer.score(np.zeros((0, 3, 4), dtype=np.float32)).tolist() == []
    assert _value(metrics, "inference_seconds_count") == 1


@given(st.lists(st.lists(st.floats(0, 20), max_size=20), max_size=5))
def test_batch_histogram(batches: list[list[float]]) -> None:
    """A histogram of batches equals prometheus_client's histogram of the same values one by one."""
    edges, registry, expected = (0.5, 1.0, 10.0), CollectorRegistry(), CollectorRegistry()
    batch_histogram = BatchHistogram("seconds", "Some.", edges, registry)
    histogram = Histogram("seconds", "Some.", buckets=edges, registry=expected)
    for values in [[0.5, 10.0], *batches]:
        batch_histogram.observe(np.array(values))
        for value in values:
            histogram.observe(value)
    for le in ("0.5", "1.0", "10.0", "+Inf"):
        labels = {"le": le}
        assert registry.get_sample_value("seconds_bucket", labels) == expected.get_sample_value(
            "seconds_bucket", labels
        )
    assert registry.get_sample_value("seconds_count") == expected.get_sample_value("seconds_count")
    assert registry.get_sample_value("seconds_sum") == pytest.approx(expected.get_sample_value("seconds_sum"))
