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
from monitor.core.messages import Delivery, Outgoing, Taken
from monitor.core.readings import Outcome, Readings, Refusal
from monitor.core.verdicts import FAULTY, NORMAL, AlertEvent, GroupState
from monitor.detect.scoring import Chain, Verdicts
from monitor.groups.state import Memory
from monitor.ingest.decode import DecodeStage
from monitor.operators.commands import Desk
from monitor.publish.publisher import Herald
from monitor.telemetry.metrics import Metrics

__all__ = ["Pipeline", "Replacement", "Surroundings"]

# How often, in seconds, an idle pipeline looks for silent groups and shows that it is alive.
_IDLE = 0.5
_WRONG_TIMES = {
    Outcome.DUPLICATE: "its ts is that of the reading before",
    Outcome.LATE: "its ts is before that of the reading before",
    Outcome.FUTURE: "its ts is ahead of this machine's clock",
    Outcome.GAP: "its ts is more than windows.max_gap after the reading before, so the window starts afresh",
}
# How long a pipeline that stops goes on with what waits, in seconds: under a flood there is no end to it, and
# with QoS 1 the broker keeps what isn't acknowledged.
_DRAIN = 1.0
# How long the last events may then take to be confirmed, in seconds.
_FAREWELL = 2.0
# How often the farewell looks for confirmations, in seconds.
_FAREWELL_STEP = 0.02


class Surroundings(Protocol):
    """What the pipeline knows of the world."""

    def take(self, timeout: float) -> Taken:
        """Return all that waits; wait for something at most `timeout` seconds."""

    def commit(self, groups: Iterable[str], messages: Iterable[Outgoing]) -> bool:
        """Make the changed groups' state and the messages to send permanent; return whether all is."""

    def secure(self, groups: Iterable[str]) -> bool:
        """Make these groups' state permanent now; return whether it is."""

    def emit(self, states: Iterator[Outgoing]) -> bool:
        """Publish what is committed, then as many states as there is room for; return if all is confirmed."""

    def acknowledge(self, messages: Sequence[Delivery]) -> None:
        """Say that these messages need not come again."""


class Watcher(Protocol):
    """Is told what the pipeline met, for people to read."""

    def refused(self, refusals: Sequence[Refusal]) -> None:
        """Take note of dropped readings, and why."""

    def overflowed(self, count: int) -> None:
        """Take note of messages that found no room."""

    def alerted(self, events: Sequence[AlertEvent]) -> None:
        """Take note of incidents that began or ended."""

    def unreadable(self, reasons: Sequence[str]) -> None:
        """Take note of groups whose state in the store can't be read, so that they begin afresh."""


class Onlooker(Protocol):
    """Is shown each batch while the pipeline waits: it looks at it later, and elsewhere."""

    def saw(self, readings: Readings, verdicts: Verdicts, lines: Sequence[GroupState]) -> None:
        """Take a batch, what came of it, and the lines that changed."""

    def forgot(self, names: Sequence[str]) -> None:
        """Hear of groups that were set aside."""


class _Nobody:
    def saw(self, readings: Readings, verdicts: Verdicts, lines: Sequence[GroupState]) -> None:
        pass

    def forgot(self, names: Sequence[str]) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Replacement:
    """Stages that take over from those in use."""

    chain: Chain
    manifest: Manifest
    stale_after: float
    """Seconds."""
    done: threading.Event = field(default_factory=threading.Event)
    """Set once they have."""


class Pipeline:
    """Runs the stages on what arrives.

    Parameters
    ----------
    surroundings : where readings come from and events go.
    decode : the first stage.
    memory : the others, and what is known of each group.
    desk : does what operators ask for.
    herald : puts into messages what is to be said.
    most_groups : how many groups are held in memory; the least recently heard beyond it are set aside.
    metrics, watcher : look on.
    alive : is called at each turn.
    onlooker : is shown each batch.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        decode: DecodeStage,
        memory: Memory,
        desk: Desk,
        herald: Herald,
        most_groups: int,
        metrics: Metrics,
        watcher: Watcher,
        alive: Callable[[], None] = lambda: None,
        onlooker: Onlooker | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._surroundings = surroundings
        self._decode = decode
        self._memory = memory
        self._desk = desk
        self._herald = herald
        self._most_groups = most_groups
        self._metrics = metrics
        self._watcher = watcher
        self._alive = alive
        self._onlooker = onlooker or _Nobody()
        self._monotonic = monotonic
        self._next: queue.SimpleQueue[Replacement] = queue.SimpleQueue()
        self.last_turn = monotonic()
        """When the loop last came round, monotonic seconds: it is alive if this is recent."""

    def replace(self, chain: Chain, manifest: Manifest, stale_after: float) -> Replacement:
        """Let other stages judge from the next turn on, with the same windows and incidents."""
        replacement = Replacement(chain, manifest, stale_after)
        self._next.put(replacement)
        return replacement

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then judge what still waits and see its events delivered."""
        self._show()
        while not stop.is_set():
            self._turn(_IDLE)
        deadline = self._monotonic() + _DRAIN
        while self._turn(0.0) and self._monotonic() < deadline:
            pass
        deadline = self._monotonic() + _FAREWELL
        while not self._surroundings.emit(self._herald.states()) and self._monotonic() < deadline:
            time.sleep(_FAREWELL_STEP)

    def _turn(self, timeout: float) -> bool:
        """Deal with one batch; return whether there was any."""
        taken = self._surroundings.take(timeout)
        self.last_turn = self._monotonic()
        self._alive()
        self._change_over()
        memory = self._memory
        silent = memory.board.silence(self.last_turn)
        for line in silent:
            memory.chain.windows.rest(line.group)
        readings, refusals = self._decode.decode(taken.messages, taken.arrivals)
        memory.recall(readings.groups, self.last_turn)
        verdicts = memory.chain.judge(readings)
        decided = self._monotonic()
        changed = memory.board.update(readings, verdicts, self.last_turn)
        decisions = self._desk.work(verdicts.events, changed, self.last_turn)
        changed += memory.board.look_again(decisions.shown)
        saved = self._surroundings.commit(
            dict.fromkeys([*(line.group for line in silent), *readings.groups, *decisions.groups]),
            self._herald.say(decisions, [*silent, *changed], self.last_turn),
        )
        self._surroundings.emit(self._herald.states())
        self._surroundings.acknowledge(taken.messages)
        if self._desk.waiting is not None and (saved or self._surroundings.secure(self._desk.waiting)):
            self._desk.answer()
        if taken.messages or silent or changed:
            self._onlooker.saw(readings, verdicts, [*silent, *changed])
        # What isn't permanent yet is held longer, though not without end.
        self._set_aside(self._most_groups * (1 if saved else 2))
        memory.chain.catch_up(verdicts)
        self._count(taken, refusals, verdicts)
        for event in decisions.events:
            self._metrics.by_status[event.status].inc()
        self._time(readings, verdicts, decided)
        refusals += _out_of_step(readings, verdicts)
        if refusals:
            self._watcher.refused(refusals)
        if taken.overflowed:
            self._watcher.overflowed(taken.overflowed)
        if decisions.events:
            self._watcher.alerted(decisions.events)
        if memory.unreadable:
            self._watcher.unreadable(memory.unreadable)
            memory.unreadable.clear()
        return bool(taken.messages)

    def _change_over(self) -> None:
        while not self._next.empty():
            replacement = self._next.get()
            self._memory.move_to(replacement.chain)
            self._memory.board.stale_after = replacement.stale_after
            self._herald.manifest = replacement.manifest
            replacement.done.set()

    def _set_aside(self, most: int) -> None:
        names = self._memory.excess(most)
        if not names:
            return
        self._herald.part(names)
        self._memory.set_aside(names)
        self._metrics.set_aside.inc(len(names))
        for name in names:
            self._decode.forget(name)
        self._onlooker.forgot(names)

    def _count(self, taken: Taken, refusals: Sequence[Refusal], verdicts: Verdicts) -> None:
        metrics = self._metrics
        outcomes = Counter(verdicts.windows.outcomes)
        if refusals or taken.overflowed:
            outcomes.update(refusal.outcome for refusal in refusals)
            outcomes[Outcome.OVERFLOW] += taken.overflowed
        metrics.count_outcomes(outcomes)
        self._show()
        windows = len(verdicts.judged.groups)
        if not windows:
            return
        faulty = int(np.count_nonzero(verdicts.judged.faulty))
        for counter, count in (
            (metrics.by_label[FAULTY], faulty),
            (metrics.by_label[NORMAL], windows - faulty),
            (metrics.out_of_range, int(np.count_nonzero(verdicts.judged.out_of_range))),
        ):
            if count:  # to add takes 2 µs, and of a reading alone two of these are 0
                counter.inc(count)
        metrics.batch_windows.observe(windows)

    def _show(self) -> None:
        self._metrics.show_states(self._memory.board.counts)
        self._metrics.alerts_firing.set(self._memory.chain.alerts.firing)

    def _time(self, readings: Readings, verdicts: Verdicts, decided: float) -> None:
        if len(readings.groups):
            self._metrics.last_reading.set(readings.arrived_at[-1])
        self._metrics.reading_latency_seconds.observe(decided - readings.received[verdicts.windows.rows])


def _out_of_step(readings: Readings, verdicts: Verdicts) -> list[Refusal]:
    """Return the readings whose event time didn't follow the one before, for the log."""
    outcomes = verdicts.windows.outcomes
    if not _WRONG_TIMES.keys() & set(outcomes):
        return []
    found = []
    for row, outcome in enumerate(outcomes):
        reason = _WRONG_TIMES.get(outcome)
        if reason:
            found.append(Refusal(outcome, readings.groups[row], f"{reason} (ts {readings.ts[row]:.3f})"))
    return found
