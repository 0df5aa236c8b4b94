"""The loop of the daemon: take a batch, judge it, commit, emit, acknowledge."""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.bundle.manifest import Manifest
from monitor.core.readings import concatenate
from monitor.core.verdicts import GroupStatus
from monitor.detect.scoring import Scoring
from monitor.groups.new_group_limit import NewGroupLimit
from monitor.groups.state import GroupStates
from monitor.ingest.decoded_messages import Decoder
from monitor.operators.commands import OperatorCommands
from monitor.operators.false_alarms import FalseAlarmFile
from monitor.publish.publisher import Publisher
from monitor.service.instrumentation import BatchResult, Instrumentation
from monitor.service.ports import PipelinePorts

__all__ = ["Pipeline", "Replacement"]

# Seconds between iterations without messages, in which the pipeline looks for silent groups and feeds the
# watchdog.
_IDLE_TIMEOUT_S = 0.5
# Seconds for which a stopping pipeline continues to process queued messages. Limited because under high load
# the queue may never be empty; with QoS 1 the broker keeps messages that are not acknowledged.
_DRAIN_TIMEOUT_S = 1.0
# Seconds to wait after that for confirmations of the last published messages.
_CONFIRM_TIMEOUT_S = 2.0
# Seconds between two checks for confirmations.
_CONFIRM_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Replacement:
    """The parts of the pipeline that a reload replaces, between two batches.

    Either the pipeline's thread applies the replacement, or the reloading thread withdraws it after a
    timeout: the thread that calls `claim` first decides.
    """

    scoring: Scoring
    manifest: Manifest
    """Manifest of the bundle that the stages were built from."""
    stale_after: float
    """Seconds without an accepted reading after which a group is silent."""
    false_alarms: FalseAlarmFile
    done: threading.Event = field(default_factory=threading.Event, init=False)
    """Set when the replacement has been applied."""
    _claim: threading.Lock = field(default_factory=threading.Lock, init=False)

    def claim(self) -> bool:
        """Return True to the first caller, which alone may apply or withdraw the replacement."""
        return self._claim.acquire(blocking=False)


class Pipeline:
    """Runs the stages on the messages that arrive.

    Parameters
    ----------
    ports : receives messages, stores results and publishes messages.
    decode : parses messages to readings.
    groups : judges readings, and keeps the state of each group.
    commands : executes the requests of operators.
    publisher : encodes the messages to publish.
    instrumentation : clock, metrics, log and live page.
    max_groups : maximum number of groups in memory; if there are more, those with the oldest readings are
        evicted.
    """

    def __init__(
        self,
        *,
        ports: PipelinePorts,
        decode: Decoder,
        groups: GroupStates,
        commands: OperatorCommands,
        publisher: Publisher,
        instrumentation: Instrumentation,
        max_groups: int,
    ) -> None:
        self._ports = ports
        self._decode = decode
        self._groups = groups
        self._commands = commands
        self._publisher = publisher
        self._instrumentation = instrumentation
        self._monotonic = instrumentation.monotonic
        self._max_groups = max_groups
        self._new_groups = NewGroupLimit(groups)
        self._replacements: queue.SimpleQueue[Replacement] = queue.SimpleQueue()

    @property
    def last_iteration_at(self) -> float:
        """Start of the last iteration, monotonic seconds; if it is not recent, the pipeline hangs."""
        return self._instrumentation.last_iteration_at

    def replace(self, replacement: Replacement) -> None:
        """Apply a replacement before the next batch, unless it is withdrawn; any thread may call this."""
        self._replacements.put(replacement)

    def run(self, stop: threading.Event) -> None:
        """Process batches until `stop` is set; then process queued messages and wait for confirmations."""
        self._set_gauges()
        while not stop.is_set():
            self._process_batch(_IDLE_TIMEOUT_S)
        deadline = self._monotonic() + _DRAIN_TIMEOUT_S
        while (self._process_batch(0.0) or self._wait_for_request()) and self._monotonic() < deadline:
            pass
        deadline = self._monotonic() + _CONFIRM_TIMEOUT_S
        while not self._ports.emit(self._publisher.state_messages()) and self._monotonic() < deadline:
            time.sleep(_CONFIRM_POLL_S)

    def _process_batch(self, timeout: float) -> bool:
        """Process one batch; return whether there were messages."""
        groups = self._groups
        batch = self._ports.take(timeout)
        now = self._instrumentation.start_iteration()
        self._apply_replacements()
        moved_statuses = self._follow_clock(batch.clock_step, now) if batch.clock_step else []
        silent_statuses = groups.mark_silent(now)
        decoded = self._new_groups.apply(self._decode.decode(batch.messages, batch.arrivals), now)
        aligned = groups.align(decoded.values, batch.complete_until, now)
        readings = decoded.readings if aligned is None else concatenate(decoded.readings, aligned.readings)
        scored = groups.judge(readings, now)
        decided_at = self._monotonic()
        changed_statuses = groups.update_statuses(readings, scored, now)
        changed_groups = list(readings.groups)
        if aligned is not None and decoded.values is not None:
            changed_statuses += groups.update_value_statuses(decoded.values, aligned, now)
            changed_groups += [*decoded.values.groups, *aligned.stale.groups]
        changes = self._commands.process(scored.events, changed_statuses, now)
        statuses = [
            *moved_statuses,
            *silent_statuses,
            *changed_statuses,
            *groups.refresh_statuses(changes.groups_to_publish),
            *groups.take_changed_sensitivities(now),
        ]
        arrivals = readings.arrived_monotonic[scored.windows.reading_indices]  # (window,)
        restarted_groups = [status.group for status in (*moved_statuses, *silent_statuses)]
        saved = self._ports.commit(
            dict.fromkeys([*restarted_groups, *changed_groups, *changes.changed_groups]),
            [*decoded.requests, *self._publisher.messages(changes, statuses, arrivals, now)],
            decoded.births,
        )
        self._ports.emit(self._publisher.state_messages())
        self._ports.acknowledge(batch.to_acknowledge)
        self._send_responses(saved=saved)
        result = BatchResult(batch, decoded, aligned, readings, scored, decided_at, statuses, changes.events)
        self._instrumentation.observe(result)
        self._drop_forgotten(changes.forgotten_groups)
        # If the state of some groups is not stored, more groups stay in memory, up to twice the limit.
        self._evict(self._max_groups * (1 if saved else 2))
        groups.learn_pending(scored)
        self._set_gauges()
        self._instrumentation.record(result)
        self._instrumentation.record_muted_incidents(changes.muted_events)
        self._instrumentation.record_silent(silent_statuses)
        self._instrumentation.record_load_errors(groups.take_load_errors())
        return bool(batch.to_acknowledge)

    def _follow_clock(self, step: float, now: float) -> list[GroupStatus]:
        """Carry on after the wall clock was set by `step` seconds; return the statuses whose times moved.

        Parameters
        ----------
        now : monotonic seconds.
        """
        self._commands.follow_clock(now)
        statuses = self._groups.follow_clock(step)
        self._instrumentation.record_clock_step(step, len(statuses))
        return statuses

    def _wait_for_request(self) -> bool:
        """Wait briefly if a request was begun and isn't done; return whether it still isn't."""
        if self._commands.is_busy:
            time.sleep(_CONFIRM_POLL_S)
        return self._commands.is_busy

    def _send_responses(self, *, saved: bool) -> None:
        """Answer the executed requests, once the changes that they made are stored."""
        groups = self._commands.pending_groups
        if groups is not None and (saved or self._ports.commit_now(groups)):
            self._commands.send_responses()

    def _apply_replacements(self) -> None:
        while not self._replacements.empty():
            replacement = self._replacements.get()
            if replacement.claim():
                self._groups.replace_scoring(replacement.scoring, replacement.stale_after)
                self._publisher.manifest = replacement.manifest
                self._commands.false_alarms = replacement.false_alarms
                replacement.done.set()

    def _evict(self, limit: int) -> None:
        names = self._groups.groups_over_limit(limit)
        if not names:
            return
        self._publisher.add_final_messages(names)
        self._groups.evict(names)
        for name in names:
            self._decode.forget(name)
        self._instrumentation.record_evicted(names)

    def _drop_forgotten(self, names: Sequence[str]) -> None:
        """Remove groups that were removed for good from the parts that keep something of them, too."""
        if not names:
            return
        for name in names:
            self._decode.forget(name)
        self._instrumentation.record_forgotten(names)

    def _set_gauges(self) -> None:
        self._instrumentation.set_gauges(self._groups.state_counts, self._groups.firing_count)
