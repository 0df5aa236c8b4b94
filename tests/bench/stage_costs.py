"""What each stage costs: the daemon's own stages on batches of messages, one after the other.

They run in a process of their own: `python -m tests.bench.stage_costs BUNDLE FOLDER FEED`.
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
from monitor.config.settings import Alerts, Settings, Store
from monitor.core.arrays import FloatArray
from monitor.core.messages import Outgoing
from monitor.detect.scoring import Scorer
from monitor.groups.state import Memory
from monitor.mqtt.receive_queue import Inbox
from monitor.publish.payloads import alert_payload, state_payload
from monitor.service.stages import build_scoring, decoder
from monitor.storage.outbox import Outbox
from monitor.storage.restore import restore
from monitor.web.live import Live
from tests.bench.config import STEPS, WARM_UP, Setting
from tests.bench.measurements import Figure
from tests.bench.throughput import CPU, paho
from tests.bench.workload import Feed

__all__ = ["SUBJECT", "main", "stages"]

SUBJECT = "ours by stage, 1 % alerts"
_MESSAGES = 100_000
_BATCH = 1024
_DIGEST_EVERY = 16
"""Batches between two looks of the page: a second apart, at the speed that a shared core reaches."""
_GROUPS, _FAULTY_GROUPS = 1000, 10
_WARM_UP = WARM_UP * _GROUPS
"""Messages until every group is judged."""
_MILLION = 1e6


def stages(setting: Setting) -> list[Figure]:
    """Measure in a process of its own."""
    feed = setting.feed(_MESSAGES, _GROUPS, faulty_groups=_FAULTY_GROUPS)
    feed = replace(feed, messages=_WARM_UP + feed.messages)
    arguments = [str(setting.bundle), str(setting.fresh(SUBJECT)), feed.to_json()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.stage_costs", *arguments], stdout=subprocess.PIPE, check=True
    )
    spent = json.loads(done.stdout)
    base = paho(qos=1), CPU
    return [Figure(SUBJECT, f"{name}, {CPU}", value, base) for name, value in spent.items()]


class _Clock:
    """Adds up what this thread computes, by stage."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Count what happens meanwhile as this stage's."""
        began = time.thread_time()
        yield
        self.spent[stage] += time.thread_time() - began  # type: ignore[assignment]


class _Scorer:
    """Scores as another does, on the clock."""

    def __init__(self, scorer: Scorer, clock: _Clock) -> None:
        self._scorer = scorer
        self._clock = clock

    def score(self, scaled: NDArray[float32]) -> FloatArray:
        """Return P(Faulty) of each window."""
        with self._clock.on("classify"):
            return self._scorer.score(scaled)


class _Line:
    """The stages, with a store behind them and no broker."""

    def __init__(self, folder: Path, store: Path) -> None:
        settings = Settings(alerts=Alerts(mode="every_window"), store=Store(path=store))
        loaded = bundle.load(folder)
        self.clock = _Clock()
        self._bundle = loaded
        self._inbox = Inbox()
        self._decode = decoder(settings, loaded.manifest.names)
        self._memory = Memory(
            build_scoring(loaded, settings.windows, settings.alerts, _Scorer(loaded.classifier, self.clock)),
            settings.windows.stale_after,
        )
        # What happens inside of `Chain.judge` is timed by doing it a second time beside it.
        self._beside = build_scoring(loaded, settings.windows, settings.alerts)
        self._store = restore(
            settings.store,
            self._memory,
            loaded.manifest.names,
            STEPS,
            most=settings.input.max_groups,
            now=0.0,
        )
        self._outbox = self._store.outbox()
        self._live = Live(len(loaded.manifest.names), spacing=loaded.manifest.sample_period)
        self._batches = 0

    def take(self, contents: list[tuple[str, bytes]]) -> None:
        """Do with a batch, topics and payloads, what session and pipeline do."""
        on, memory = self.clock.on, self._memory
        with on("inbox"):
            self._inbox.put([(topic, payload, None, False) for topic, payload in contents])
            taken = self._inbox.take(0.0)
        with on("decode"):
            readings, _ = self._decode.decode(taken.messages, taken.arrivals)
        with on("window"):
            windows = self._beside.windows.push(readings)
        with on("baseline"):
            groups = [readings.groups[row] for row in windows.rows.tolist()]
            normals, ready = self._beside.baseline.push(groups, windows.values)
            shown = self._beside.baseline.show(windows.values[ready], normals[ready])
        with on("scale"):
            self._bundle.scaler.transform(shown)
        verdicts = memory.chain.judge(readings)
        with on("decide"):
            self._beside.alerts.update(verdicts.judged)
        with on("board"):
            changed = memory.board.update(readings, verdicts, time.monotonic())
        with on("publish"):
            self._outbox.add(
                Outgoing(f"alerts/{event.group}", alert_payload(event, self._bundle.manifest), retain=False)
                for event in verdicts.events
            )
            for line in changed:
                state_payload(line)
        with on("commit"):
            dumps = ((name, memory.dump(name)) for name in dict.fromkeys(readings.groups))
            self._store.save(((name, dump) for name, dump in dumps if dump), self._outbox, time.time())
        with on("publish"):
            _publish(self._outbox)
        with on("page"):
            self._live.saw(readings, verdicts, changed)
            self._batches += 1
            if self._batches % _DIGEST_EVERY == 0:
                self._live.digest()

    def spent(self) -> dict[str, float]:
        """Return CPU seconds by stage, in the order of the stages."""
        stages = (
            "inbox", "decode", "window", "baseline", "scale", "classify", "decide", "board", "publish",
            "commit", "page",
        )  # fmt: skip
        return {stage: self.clock.spent[stage] for stage in stages}


def _publish(outbox: Outbox) -> None:
    """Have the broker take and confirm all at once."""
    number = 0
    while outbox.first():
        number += 1
        outbox.sent(number)
        outbox.delivered(number)


def main() -> None:
    """Say what each stage takes, in CPU seconds a million readings, as JSON."""
    folder, store, feed = Path(sys.argv[1]), Path(sys.argv[2]) / "state.db", Feed.of_json(sys.argv[3])
    line, contents = _Line(folder, store), feed.contents()
    _drive(line, islice(contents, _WARM_UP))
    before = line.spent()
    _drive(line, contents)
    counted = feed.messages - _WARM_UP
    print(
        json.dumps(
            {name: (value - before[name]) / counted * _MILLION for name, value in line.spent().items()}
        )
    )


def _drive(line: _Line, contents: Iterator[tuple[bytes, bytes]]) -> None:
    """Let messages go through in batches."""
    while batch := [(topic.decode(), payload) for topic, payload in islice(contents, _BATCH)]:
        line.take(batch)


if __name__ == "__main__":
    main()
