"""Readings with wrong event times of every kind, for the real stages and for the reference model."""

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from monitor.core.messages import DUP_FLAG, MessageBatch
from monitor.core.readings import Readings
from monitor.detect.scoring import ScoredBatch, Scoring
from monitor.mqtt.receive_queue import ReceiveQueue
from tests.chaos.reference_model import ReceivedReading, ReferenceModel
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness
from tests.support.toy_bundle import NAMES, STEPS

__all__ = ["Comparison", "compare_with_reference_model"]

_MAX_GAP, _MAX_SKEW, _STALE_AFTER = 15.0, 60.0, 60.0
_MAX_BATCH_MESSAGES = 300
_MAX_ARRAY_READINGS = 6
_HOUR_S = 3600.0
_PERIOD_S = 5.0
_MALFORMED_PAYLOADS: list[Any] = [b"no JSON", b"[]", b'{"ts":1}', b"\xff", b'{"ts":"1e9"}', b"[" * 5000]

ExpectedElement = tuple[float | None, tuple[float, ...] | None]
"""Event time and values that one element of a payload should decode to. Values None: the element is
unreadable."""


@dataclass
class Comparison:
    """Result of sending the same readings to the stages and to the reference model."""

    reading_count: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """The reference model's outcomes."""
    window_count: int = 0
    """Windows that were judged."""
    differences: list[str] = field(default_factory=list)
    """At most the first differing outcome, refusal and window of the batch in which they occurred."""


class _MessageGenerator:
    """Generates messages of groups with sometimes wrong clocks, and advances the monitor's two clocks."""

    def __init__(self, seed: int, group_count: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311, repeatable on purpose
        self.monotonic_s = 0.0
        """The monotonic clock, seconds."""
        self._clock_jump = 0.0
        self._last_ts = {f"g{number}": NOW for number in range(group_count)}
        # What a group's clock may be set to, in seconds from the wall clock: mostly right, else 100 s ahead,
        # an hour off, a day behind, or 1970.
        self._clock_offsets = (0.0, 0.0, 0.0, 0.0, 100.0, _HOUR_S, -_HOUR_S, -24 * _HOUR_S, -NOW)

    @property
    def wall_time(self) -> float:
        """The wall clock, seconds since the Unix epoch; it jumps forwards and backwards."""
        return NOW + self.monotonic_s + self._clock_jump

    def advance_time(self, message_count: int) -> None:
        """Advance the clocks by about the time that the messages take, now and then by 20 to 130 s.

        The longer pauses may exceed `_STALE_AFTER`, so groups become silent.
        """
        rng = self._rng
        expected_s = min(_PERIOD_S * message_count / len(self._last_ts), _STALE_AFTER / 2)
        self.monotonic_s += (
            expected_s * rng.uniform(0.5, 1.5) if rng.random() < 0.98 else rng.uniform(20, 130)
        )
        if rng.random() < 0.1:
            self._clock_jump = rng.choice((0.0, 0.0, 0.0, 0.0, 1.0, -1.0)) * rng.uniform(0, 2) * _HOUR_S

    def next_message(self) -> tuple[str, bytes, list[ExpectedElement]]:
        """Return a topic, a payload, and what each element of the payload should decode to."""
        rng = self._rng
        group = rng.choice(list(self._last_ts))
        topic = f"p/{group}" if rng.random() < 0.99 else f"elsewhere/{group}"
        if rng.random() < 0.02:
            return topic, rng.choice(_MALFORMED_PAYLOADS), [(None, None)]
        if rng.random() < 0.9:
            element, item = self._next_element(group)
            return topic, json.dumps(item).encode(), [element]
        pairs = [self._next_element(group) for _ in range(rng.randint(1, _MAX_ARRAY_READINGS))]
        # In an array, an element without `ts` is unreadable: only a single reading takes its arrival time
        # instead.
        elements: list[ExpectedElement] = [(ts, None if ts is None else values) for (ts, values), _ in pairs]
        return topic, json.dumps([item for _, item in pairs]).encode(), elements

    def _next_element(self, group: str) -> tuple[ExpectedElement, dict[str, Any]]:
        values = tuple(round(self._rng.uniform(0, 40), 3) for _ in NAMES)
        item: dict[str, Any] = dict(zip(NAMES, values, strict=True))
        ts = self._next_ts(group)
        if ts is not None:
            item["ts"] = self._format_ts(ts)
        return (ts, values), item

    def _next_ts(self, group: str) -> float | None:
        rng, last_ts = self._rng, self._last_ts[group]
        draw = rng.random()
        if draw < 0.03:
            return None
        if draw < 0.08:
            return last_ts  # a duplicate
        if draw < 0.16:
            return max(0.0, round(last_ts - 5 * rng.randint(1, 4), 3))  # out of order
        if draw < 0.165:
            return self.wall_time + _MAX_SKEW  # the most that is allowed
        if draw < 0.20:
            return round(self.wall_time + _MAX_SKEW + rng.choice((0.01, 100, 1e6)), 3)
        if draw < 0.25:
            step = rng.choice((_MAX_GAP, _MAX_GAP + 0.001, 100.0))
        elif draw < 0.27:
            step = max(0.0, self.wall_time + rng.choice(self._clock_offsets)) - last_ts  # the clock is set
        else:
            step = _PERIOD_S
        self._last_ts[group] = round(last_ts + step, 3)
        return self._last_ts[group]

    def _format_ts(self, ts: float) -> float | int | str:
        """Return an event time in one of the accepted formats: seconds, milliseconds or ISO 8601."""
        draw = self._rng.random()
        if ts == round(ts, 3) and ts > 1e9:
            if draw < 0.1:
                return round(ts * 1000)
            if draw < 0.2:
                return datetime.fromtimestamp(ts, UTC).isoformat(timespec="milliseconds")
        return ts


def compare_with_reference_model(
    bundle: Path, count: int, seed: int, *, group_count: int = 30, stride: int = 1
) -> Comparison:
    """Send `count` readings to the stages and to the reference model, and compare outcomes and windows.

    Stops after the first batch with a difference.
    """
    comparison = Comparison()
    pipeline = PipelineHarness(bundle, max_gap=_MAX_GAP, max_skew=_MAX_SKEW, stride=stride)
    model = ReferenceModel(STEPS, _MAX_GAP, _MAX_SKEW, _STALE_AFTER, stride)
    generator = _MessageGenerator(seed, group_count)
    rng = random.Random(seed + 1)  # noqa: S311, repeatable on purpose
    receive_queue = ReceiveQueue(
        wall_clock=lambda: generator.wall_time, monotonic=lambda: generator.monotonic_s
    )
    scored_batches: list[ScoredBatch] = []
    original_judge = Scoring.judge

    def recording_judge(scoring: Scoring, readings: Readings) -> ScoredBatch:
        scored_batches.append(original_judge(scoring, readings))
        return scored_batches[-1]

    with patch.object(Scoring, "judge", recording_judge):
        while comparison.reading_count < count and not comparison.differences:
            size = rng.randint(1, _MAX_BATCH_MESSAGES)
            generator.advance_time(size)
            elements = _enqueue_messages(generator, receive_queue, rng, size)
            message_batch = receive_queue.take(0)
            pipeline.run((generator.monotonic_s, message_batch))
            _compare_batch(comparison, model, message_batch, elements, scored_batches, pipeline)
    return comparison


def _enqueue_messages(
    generator: _MessageGenerator, receive_queue: ReceiveQueue, rng: random.Random, size: int
) -> list[list[ExpectedElement]]:
    elements = []
    for _ in range(size):
        topic, payload, expected_elements = generator.next_message()
        receive_queue.put([(topic, payload, None, False)])
        elements.append(expected_elements)
        if rng.random() < 0.03:  # the acknowledgement was lost, so the broker delivers the message again
            receive_queue.put([(topic, payload, None, DUP_FLAG)])
            elements.append(expected_elements)
    return elements


def _compare_batch(
    comparison: Comparison,
    model: ReferenceModel,
    message_batch: MessageBatch,
    expected_batch: list[list[ExpectedElement]],
    scored_batches: list[ScoredBatch],
    pipeline: PipelineHarness,
) -> None:
    """Process one batch with the reference model, and record the first differences from the stages."""
    expected = []
    if message_batch.clock_step:
        model.set_clock()
    arrivals = zip(
        message_batch.arrivals.arrived_at.tolist(), message_batch.arrivals.substitute_ts.tolist(), strict=True
    )
    for (topic, _, _, flags), (arrived_at, substitute_ts), elements in zip(
        message_batch.messages, arrivals, expected_batch, strict=True
    ):
        group = topic.removeprefix("p/") if topic.startswith("p/") else ""
        for ts, values in elements if group else [(None, None)]:
            reading = ReceivedReading(
                group, ts, values, arrived_at, substitute_ts, pipeline.clock, bool(flags & DUP_FLAG)
            )
            expected.append(model.process(reading))
    rejected_outcomes = ("unmatched", "malformed")
    actual = [str(outcome) for scored in scored_batches for outcome in scored.windows.outcomes]
    rejected = [
        str(rejection.outcome) for rejection in pipeline.rejected if rejection.outcome in rejected_outcomes
    ]
    _record_first_difference(
        comparison, "outcomes", [o for o in expected if o not in rejected_outcomes], actual
    )
    _record_first_difference(
        comparison, "refusals", sorted(o for o in expected if o in rejected_outcomes), sorted(rejected)
    )
    windows = [(group, rows) for group, rows in model.judged_windows]
    judged_windows = [
        (group, list(zip(ts, map(tuple, rows), strict=True)))
        for scored in scored_batches
        for group, ts, rows in zip(
            scored.judged_windows.groups,
            scored.judged_windows.ts.tolist(),
            scored.judged_windows.values.tolist(),
            strict=True,
        )
    ]
    _record_first_difference(comparison, "windows", windows, judged_windows)
    assert all(np.isfinite(scored.judged_windows.scores).all() for scored in scored_batches)
    comparison.reading_count += len(expected)
    comparison.outcomes.update(expected)
    comparison.window_count += len(windows)
    for collected in (
        model.judged_windows,
        scored_batches,
        pipeline.rejected,
        pipeline.messages,
        pipeline.acknowledged_messages,
        pipeline.events,
    ):
        collected.clear()
    pipeline.committed_groups.clear()
    pipeline.calls.clear()


def _record_first_difference(
    comparison: Comparison, subject: str, expected: list[Any], actual: list[Any]
) -> None:
    for index, (expected_item, actual_item) in enumerate(zip(expected, actual, strict=False)):
        if expected_item != actual_item:
            comparison.differences.append(
                f"{subject} {index} after {comparison.reading_count} readings: "
                f"expected {expected_item}, got {actual_item}"
            )
            return
    if len(expected) != len(actual):
        comparison.differences.append(
            f"{subject} after {comparison.reading_count} readings: "
            f"expected {len(expected)}, got {len(actual)}"
        )
