"""Writes what the plant sends into a recording, beside whatever else listens there."""

import csv
import io
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.errors import InvalidInputError, OperationError
from monitor.core.messages import InboundMessage, InboundRequest, ReadOnce
from monitor.core.readings import Outcome, Readings, RejectedReading, Windows
from monitor.core.rules import WindowRules
from monitor.detect.windows import WindowStage
from monitor.ingest.decode import DecodeStage
from monitor.mqtt import Session
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.telemetry.logs import PipelineLog

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)

# How long to wait for readings until the clock and the stop signal are looked at, in seconds.
_POLL_INTERVAL_S = 0.2
_DROP_REASONS = {
    Outcome.DUPLICATE: "its ts is that of the reading before",
    Outcome.LATE: "its ts is before that of the reading before",
    Outcome.FUTURE: "its ts is ahead of this machine's clock",
}


class Recorder:
    """Writes the readings that arrive, as a monitor with the same settings would take them in.

    A reading that a monitor would drop isn't written either, so each group's are in the order of their time.
    Every batch is written as a whole before it is acknowledged: whenever the process ends, the file holds
    whole rows.

    Parameters
    ----------
    path : the file to make, a CSV file.
    decode : reads the messages.
    features : the columns, in the order of `decode`.
    max_skew : seconds that a reading's event time may lie ahead of its arrival.
    on_progress : is called with a line on how far it is, at each turn.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        path: Path,
        decode: DecodeStage,
        features: Sequence[str],
        *,
        max_skew: float,
        on_progress: Callable[[str], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._decode = decode
        self._header = ["ts", "group", *features]
        self._on_progress = on_progress
        self._monotonic = monotonic
        # Windows of a single reading: what completes one is what a monitor takes in.
        self._window_stage = WindowStage(1, len(features), WindowRules(math.inf, max_skew))
        self._receive_queue = ReceiveQueue()
        self._log = PipelineLog()
        self._connected = threading.Event()
        self._problem = ""
        self._file_size = 0
        self._first_ts, self._last_ts = math.inf, -math.inf
        self.written_count = 0
        """Readings in the file."""
        self.groups: set[str] = set()
        self.rejected_counts: Counter[Outcome] = Counter()
        """Readings that came and aren't in the file."""

    def __str__(self) -> str:
        """Say what is in the file, in a line."""
        text = f"{self.written_count:,} readings of {len(self.groups):,} group(s)"
        if self.written_count:
            text += f" from {_format_ts(self._first_ts)} to {_format_ts(self._last_ts)}"
        if self.rejected_counts:
            text += "; refused: " + ", ".join(
                f"{name} {count:,}" for name, count in self.rejected_counts.items()
            )
        return text

    def run(self, session: Session, stop: threading.Event, seconds: float | None) -> bool:
        """Record until `stop` is set or so many seconds after the subscription; return whether they passed.

        Where it is stopped before there is a connection, nothing is written.

        Raises
        ------
        UnusableError : the file is there already, or can't be made. Nothing was connected to then.
        FailedError : the broker can't be reached, the file can't be written, or no reading came.
        """
        file = _create_file(self._path)
        try:
            self._write(file, [self._header])
            session.start()
            while not self._connected.wait(_POLL_INTERVAL_S):
                if stop.is_set():
                    return False
            self._raise_problem()
            deadline = math.inf if seconds is None else self._monotonic() + seconds
            while not stop.is_set() and self._monotonic() < deadline:
                self._write_batch(
                    file, session, min(_POLL_INTERVAL_S, max(0.0, deadline - self._monotonic()))
                )
            self._write_batch(file, session, 0.0)
            completed = self._monotonic() >= deadline
            if not self.written_count:
                raise OperationError(f"{self._path}: not written, for no reading came ({self})")
            return completed
        finally:
            self._receive_queue.close()
            session.stop(timeout=1.0)
            file.close()
            if not self.written_count:
                self._path.unlink(missing_ok=True)

    def on_connected(self) -> None:
        """Hear from the session that it is subscribed."""
        if self._connected.is_set():
            _log.info("connected again")
        self._connected.set()

    def on_disconnected(self, reason: str) -> None:
        """Hear from the session why it isn't connected: at the start that is the end."""
        if self._connected.is_set():
            _log.warning("%s; trying again, and what comes meanwhile is missing in the recording", reason)
        else:
            self._problem = reason
            self._connected.set()

    def on_taken_over(self) -> None:
        """Hear that another client has our id, which is random, so this is all but impossible."""
        self._problem = "another client has taken over the client id"
        self._connected.set()

    def on_publish_failed(self) -> None:
        """Hear nothing: nothing is published."""

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:  # noqa: ARG002, it never waits
        """Take messages from the session."""
        self._receive_queue.put(messages)

    def on_request(self, request: InboundRequest) -> None:
        """Hear nothing: no requests are subscribed to."""

    def _raise_problem(self) -> None:
        if self._problem:
            raise OperationError(self._problem)

    def _write_batch(self, file: BinaryIO, session: Session, timeout: float) -> None:
        """Write one batch, if there is any."""
        batch = self._receive_queue.take(timeout)
        self._raise_problem()
        readings, rejected = self._decode.decode(batch.messages, batch.arrivals)
        accepted = self._window_stage.push(readings)
        rejected += _rejected_readings(readings, accepted.outcomes)
        self._write_readings(file, readings, accepted)
        session.acknowledge([receipt for _, _, receipt, _ in batch.messages if receipt is not None])
        self.rejected_counts.update(refusal.outcome for refusal in rejected)
        self._log.log_rejected(rejected)
        if batch.overflow_count:
            self.rejected_counts[Outcome.OVERFLOW] += batch.overflow_count
            self._log.log_overflow(batch.overflow_count)
        self._on_progress(str(self))

    def _write_readings(self, file: BinaryIO, readings: Readings, accepted: Windows) -> None:
        if not len(accepted.reading_indices):
            return
        groups = [readings.groups[row] for row in accepted.reading_indices.tolist()]
        ts: FloatArray = accepted.ts[:, -1]  # (reading,)
        values = accepted.values[:, -1].tolist()  # (reading, feature)
        rows = [[at, group, *row] for at, group, row in zip(ts.tolist(), groups, values, strict=True)]
        self._write(file, rows)
        self.groups.update(groups)
        self.written_count += len(groups)
        self._first_ts, self._last_ts = (
            min(self._first_ts, float(np.min(ts))),
            max(self._last_ts, float(np.max(ts))),
        )

    def _write(self, file: BinaryIO, rows: Sequence[Sequence[object]]) -> None:
        """Append whole rows or none."""
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        rest = memoryview(text.getvalue().encode())
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            with suppress(OSError):
                file.truncate(self._file_size)
            raise OperationError(f"{self._path}: can't be written: {error.strerror}") from error
        self._file_size = file.tell()


def _create_file(path: Path) -> BinaryIO:
    """Make a recording's file, where there is none of that name.

    Raises
    ------
    UnusableError : there is one, its name isn't a CSV file's, or it can't be made.
    """
    if path.suffix.lower() != ".csv":
        raise InvalidInputError(f"--out: {path} is no name of a CSV file; expected one that ends in .csv")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb", buffering=0)
    except FileExistsError:
        raise InvalidInputError(f"--out: {path} is there already; expected a new name") from None
    except OSError as error:
        raise InvalidInputError(f"--out: {path} can't be made: {error.strerror}") from error


def _rejected_readings(readings: Readings, outcomes: Sequence[Outcome]) -> list[RejectedReading]:
    return [
        RejectedReading(outcome, group, f"{_DROP_REASONS[outcome]} (ts {ts:.3f})")
        for outcome, group, ts in zip(outcomes, readings.groups, readings.ts.tolist(), strict=True)
        if outcome in _DROP_REASONS
    ]


def _format_ts(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
