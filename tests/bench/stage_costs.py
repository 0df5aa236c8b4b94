"""Processor time of each stage: the daemon's own stages on batches of messages, one after the other.

They run in their own process: `python -m tests.bench.stage_costs BUNDLE FOLDER WORKLOAD`.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from numpy import float32
from numpy.typing import NDArray

from monitor import bundle
from monitor.bundle.model_input import build_transform
from monitor.config.settings import AlertSettings, Settings, StoreSettings
from monitor.core.arrays import FloatArray
from monitor.core.messages import OutboundMessage
from monitor.detect import baseline
from monitor.detect.model_stage import Scorer
from monitor.detect.windows import WindowStage
from monitor.groups.state import GroupStates
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.publish.own_messages import OwnMessages
from monitor.publish.payloads import alert_payload, state_payload
from monitor.service.settings_to_decoder import build_decoder
from monitor.service.settings_to_stages import (
    build_alert_stage,
    build_scoring,
    build_window_rules,
    choose_stale_after,
)
from monitor.storage.outbox import Outbox
from monitor.storage.restore import restore
from monitor.web.live import LiveGroups
from tests.bench.config import STEPS, WARM_UP_READINGS, BenchConfig
from tests.bench.measurements import Measurement
from tests.bench.throughput import CPU_PER_MILLION, paho_name
from tests.bench.workload import Workload

__all__ = ["SUBJECT", "main", "measure_stages"]

SUBJECT = "ours by stage, 1 % alerts"
_MESSAGE_COUNT = 100_000
_BATCH_MESSAGES = 1024
_DIGEST_INTERVAL_BATCHES = 16
"""Batches between two updates of the live page: about a second, at the speed that a shared core reaches."""
_GROUP_COUNT, _FAULTY_GROUP_COUNT = 1000, 10
_WARM_UP_MESSAGES = WARM_UP_READINGS * _GROUP_COUNT
"""Messages until every group is judged."""
_MILLION = 1e6


def measure_stages(config: BenchConfig) -> list[Measurement]:
    """Measure in a process of its own."""
    workload = config.workload(_MESSAGE_COUNT, _GROUP_COUNT, faulty_group_count=_FAULTY_GROUP_COUNT)
    workload = replace(workload, message_count=_WARM_UP_MESSAGES + workload.message_count)
    arguments = [str(config.bundle), str(config.empty_folder(SUBJECT)), workload.to_json()]
    process = subprocess.run(
        [sys.executable, "-m", "tests.bench.stage_costs", *arguments], stdout=subprocess.PIPE, check=True
    )
    cpu_by_stage = json.loads(process.stdout)
    reference = paho_name(qos=1), CPU_PER_MILLION
    return [
        Measurement(SUBJECT, f"{name}, {CPU_PER_MILLION}", value, reference)
        for name, value in cpu_by_stage.items()
    ]


class _StageTimer:
    """Sums the processor time of the current thread by stage."""

    def __init__(self) -> None:
        self.cpu_s_by_stage: Counter[str] = Counter()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the processor time of the `with` block to a stage."""
        started_at = time.thread_time()
        yield
        self.cpu_s_by_stage[stage] += time.thread_time() - started_at  # type: ignore[assignment]


class _TimedScorer:
    """Scores with another scorer, and measures its time as the stage `classify`."""

    def __init__(self, scorer: Scorer, timer: _StageTimer) -> None:
        self._scorer = scorer
        self._timer = timer

    def score(self, scaled: NDArray[float32]) -> FloatArray:
        """Return P(Faulty) of each window."""
        with self._timer.measure("classify"):
            return self._scorer.score(scaled)


class _TimedPipeline:
    """The stages with a store, without a broker."""

    def __init__(self, folder: Path, store: Path) -> None:
        settings = Settings(alerts=AlertSettings(mode="every_window"), store=StoreSettings(path=store))
        loaded = bundle.load(folder)
        self.timer = _StageTimer()
        self._bundle = loaded
        self._receive_queue = ReceiveQueue()
        self._decode_stage = build_decoder(settings, loaded.manifest.feature_names)
        self._groups = GroupStates(
            build_scoring(
                loaded, settings.windows, settings.alerts, _TimedScorer(loaded.classifier, self.timer)
            ),
            choose_stale_after(settings.windows, loaded.manifest.sample_period),
        )
        # What happens inside of `Scoring.judge` is timed by doing it a second time beside it.
        manifest = loaded.manifest
        window_rules = build_window_rules(settings.windows, manifest.sample_period)
        self._timed_windows = WindowStage(manifest.steps, len(manifest.features), window_rules)
        self._timed_baseline = baseline.build(manifest.quantities, manifest.baseline)
        self._timed_transform = build_transform(
            manifest.quantities, has_baseline=manifest.baseline is not None
        )
        self._timed_alerts = build_alert_stage(settings.alerts, manifest.threshold)
        self._store = restore(
            settings.store,
            self._groups,
            loaded.manifest.feature_names,
            STEPS,
            is_own_message=OwnMessages("homeassistant").include,
            max_groups=settings.input.max_groups,
            now=0.0,
        )
        self._outbox = self._store.load_outbox()
        self._live = LiveGroups(
            len(loaded.manifest.feature_names), point_interval_s=loaded.manifest.sample_period
        )
        self._batch_count = 0

    def process(self, contents: list[tuple[str, bytes]]) -> None:
        """Process a batch of (topic, payload) as the MQTT session and the pipeline do."""
        measure, groups = self.timer.measure, self._groups
        with measure("inbox"):  # the receive queue
            self._receive_queue.put([(topic, payload, None, False) for topic, payload in contents])
            batch = self._receive_queue.take(0.0)
        with measure("decode"):
            readings = self._decode_stage.decode(batch.messages, batch.arrivals).readings
        with measure("window"):
            new_windows = self._timed_windows.push(readings)
        with measure("baseline"):
            window_groups = [readings.groups[row] for row in new_windows.reading_indices.tolist()]
            baselines, ready = self._timed_baseline.push(window_groups, new_windows.values, new_windows.ts)
            relative_windows = self._timed_transform.transform(new_windows.values[ready], baselines[ready])
        with measure("scale"):
            self._bundle.scaler.transform(relative_windows)
        scored = groups.judge(readings, time.monotonic())
        with measure("decide"):
            self._timed_alerts.update(scored.judged_windows)
        with measure("board"):
            changed = groups.update_statuses(readings, scored, time.monotonic())
        with measure("publish"):
            self._outbox.add(
                OutboundMessage(
                    f"alerts/{event.group}", alert_payload(event, self._bundle.manifest), retain=False
                )
                for event in scored.events
            )
            for status in changed:
                state_payload(status)
        with measure("commit"):
            dumps = ((name, groups.dump(name)) for name in dict.fromkeys(readings.groups))
            self._store.save(((name, dump) for name, dump in dumps if dump), self._outbox, time.time())
        with measure("publish"):
            _publish_all(self._outbox)
        with measure("page"):
            self._live.observe(readings, scored, changed)
            self._batch_count += 1
            if self._batch_count % _DIGEST_INTERVAL_BATCHES == 0:
                self._live.apply_pending()

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU seconds of each stage, in the order of the stages."""
        stages = (
            "inbox", "decode", "window", "baseline", "scale", "classify", "decide", "board", "publish",
            "commit", "page",
        )  # fmt: skip
        return {stage: self.timer.cpu_s_by_stage[stage] for stage in stages}


def _publish_all(outbox: Outbox) -> None:
    """Mark all messages of the outbox as sent and acknowledged, as if the broker answered at once."""
    token = 0
    while outbox.first():
        token += 1
        outbox.mark_sent(token)
        outbox.mark_confirmed(token)


def main() -> None:
    """Print as JSON how many CPU seconds each stage takes for a million readings, after the warm-up."""
    folder, store, workload = (
        Path(sys.argv[1]),
        Path(sys.argv[2]) / "state.db",
        Workload.from_json(sys.argv[3]),
    )
    pipeline, contents = _TimedPipeline(folder, store), workload.topics_and_payloads()
    _process_all(pipeline, islice(contents, _WARM_UP_MESSAGES))
    warm_up_cpu_s = pipeline.cpu_seconds()
    _process_all(pipeline, contents)
    measured_count = workload.message_count - _WARM_UP_MESSAGES
    print(
        json.dumps(
            {
                name: (value - warm_up_cpu_s[name]) / measured_count * _MILLION
                for name, value in pipeline.cpu_seconds().items()
            }
        )
    )


def _process_all(pipeline: _TimedPipeline, contents: Iterator[tuple[bytes, bytes]]) -> None:
    """Process messages in batches of `_BATCH_MESSAGES`."""
    while batch := [(topic.decode(), payload) for topic, payload in islice(contents, _BATCH_MESSAGES)]:
        pipeline.process(batch)


if __name__ == "__main__":
    main()
