"""Writes what a plant publishes into a recording, without disturbing other clients."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from monitor.cli.broker_client import ClientListener
from monitor.cli.recorded_rows import RecordedBatch, RowConverter
from monitor.cli.recording_file import RecordingFile
from monitor.core.errors import OperationError
from monitor.core.messages import InboundMessage, MessageBatch, ReadOnce
from monitor.core.readings import Arrivals, Outcome
from monitor.core.values import ValueOutcome
from monitor.mqtt import Session
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.telemetry.logs import PipelineLog

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)

# The longest wait for readings before the clock and the stop event are checked again.
_POLL_INTERVAL_S = 0.2


class Recorder(ClientListener):
    """Writes the arriving readings, or values, as rows.

    Each batch is written before its messages are acknowledged, and the file has only complete rows, whenever
    the process ends.

    Parameters
    ----------
    path : the CSV file to create.
    converter : turns messages into rows.
    on_progress : called after each batch with a description of the recording so far.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        path: Path,
        converter: RowConverter,
        *,
        on_progress: Callable[[str], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._path = path
        self._converter = converter
        self._on_progress = on_progress
        self._monotonic = monotonic
        self._receive_queue = ReceiveQueue()
        self._clock_correction = 0.0  # added to the times of readings without `ts`, seconds
        self._log = PipelineLog()
        self._first_ts, self._last_ts = math.inf, -math.inf  # smallest and largest event time in the file
        self.written_count = 0
        """Number of rows in the file."""
        self.groups: set[str] = set()
        """Names of the groups in the file."""
        self.rejected_counts: Counter[Outcome] = Counter()
        """Number of received readings that were not written, by outcome."""
        self.rejected_value_counts: Counter[ValueOutcome] = Counter()
        """Number of received values that were not written, or are in no reading, by outcome."""

    def __str__(self) -> str:
        """Return a description of the file's content, in one line."""
        text = f"{self.written_count:,} {self._converter.noun}s of {len(self.groups):,} group(s)"
        if self.written_count:
            text += f" from {_format_ts(self._first_ts)} to {_format_ts(self._last_ts)}"
        if self.rejected_counts:
            text += f"; refused: {_format_counts(self.rejected_counts)}"
        if self.rejected_value_counts:
            text += f"; refused values: {_format_counts(self.rejected_value_counts)}"
        return text

    @property
    def undecided_count(self) -> int:
        """Number of sampling times whose reading was not decided yet, and is not in the file."""
        return self._converter.undecided_count

    def run(self, session: Session, stop: threading.Event, seconds: float | None) -> bool:
        """Record until `stop` is set or `seconds` have passed since the subscription.

        Returns whether `seconds` have passed. If `stop` is set before the client is connected, the file is
        deleted.

        Raises
        ------
        InvalidInputError : the file exists or can't be created; the client did not try to connect.
        OperationError : the broker can't be reached, the file can't be written, or nothing to write arrived.
        """
        file = RecordingFile(self._path)
        try:
            file.append([self._converter.header])
            session.start()
            if not self.wait_for_connection(stop):
                return False
            deadline = math.inf if seconds is None else self._monotonic() + seconds
            while not stop.is_set() and self._monotonic() < deadline:
                timeout = min(_POLL_INTERVAL_S, max(0.0, deadline - self._monotonic()))
                self._write_batch(file, session, timeout)
            self._write_batch(file, session, 0.0)
            completed = self._monotonic() >= deadline
            if not self.written_count:
                raise OperationError(
                    f"{self._path}: not written, for no {self._converter.noun} came ({self})"
                )
            return completed
        finally:
            self._receive_queue.close()
            session.stop(timeout=1.0)
            file.close(keep=bool(self.written_count))

    def on_connected(self) -> None:
        """Record the first connection, and log each reconnection."""
        if self.answered.is_set():
            _log.info("connected again")
        super().on_connected()

    def on_connection_lost(self, reason: str) -> None:
        """Log that readings will be missing: the broker keeps none while this client is disconnected."""
        _log.warning("%s; trying again, and what comes meanwhile is missing in the recording", reason)

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:  # noqa: ARG002, never used
        """Queue messages for the recording thread."""
        self._receive_queue.put(messages)

    def _write_batch(self, file: RecordingFile, session: Session, timeout: float) -> None:
        """Write the messages that are queued, or that arrive within `timeout` seconds, as one batch."""
        batch = self._receive_queue.take(timeout)
        self.raise_problem()
        recorded = self._converter.convert(replace(batch, arrivals=self._undo_clock_steps(batch)))
        self._write_rows(file, recorded)
        session.acknowledge([ack_token for _, _, ack_token, _ in batch.messages if ack_token is not None])
        self.rejected_counts.update(reading.outcome for reading in recorded.rejected)
        self.rejected_value_counts.update(value.outcome for value in recorded.rejected_values)
        if recorded.stale_count:
            self.rejected_counts[Outcome.STALE] += recorded.stale_count
        self._log.log_rejected([*recorded.rejected, *recorded.stale])
        self._log.log_rejected_values(recorded.rejected_values)
        if batch.overflow_count:
            self.rejected_counts[Outcome.OVERFLOW] += batch.overflow_count
            self._log.log_overflow(batch.overflow_count)
        self._on_progress(str(self))

    def _undo_clock_steps(self, batch: MessageBatch) -> Arrivals:
        """Return the arrivals of a batch with the times for readings without `ts` by the clock of the start.

        Otherwise a part of the recording would lie before the rows above it, or a year after them.
        """
        if batch.clock_step:
            self._clock_correction -= batch.clock_step
            _log.warning(
                "this machine's clock was set by %+.0f s: "
                "the times of readings without ts go on as if it had not been set",
                batch.clock_step,
            )
        if not self._clock_correction:
            return batch.arrivals
        return replace(batch.arrivals, substitute_ts=batch.arrivals.substitute_ts + self._clock_correction)

    def _write_rows(self, file: RecordingFile, recorded: RecordedBatch) -> None:
        if not recorded.rows:
            return
        file.append(recorded.rows)
        self.groups.update(recorded.groups)
        self.written_count += len(recorded.rows)
        self._first_ts = min(self._first_ts, float(np.min(recorded.ts)))
        self._last_ts = max(self._last_ts, float(np.max(recorded.ts)))


def _format_counts(counts: Mapping[Outcome, int] | Mapping[ValueOutcome, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _format_ts(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
