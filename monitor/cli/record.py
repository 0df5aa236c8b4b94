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
from monitor.core.errors import FailedError, UnusableError
from monitor.core.messages import Asked, Delivery, Read
from monitor.core.readings import Outcome, Readings, Refusal, Windows
from monitor.core.rules import WindowRules
from monitor.detect.windows import WindowStage
from monitor.ingest.decode import DecodeStage
from monitor.mqtt import Session
from monitor.mqtt.receive_queue import Inbox
from monitor.telemetry.logs import PipelineLog

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)

# How long to wait for readings until the clock and the stop signal are looked at, in seconds.
_STEP = 0.2
_DROPPED = {
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
    tell : is called with a line on how far it is, at each turn.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        path: Path,
        decode: DecodeStage,
        features: Sequence[str],
        *,
        max_skew: float,
        tell: Callable[[str], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._decode = decode
        self._header = ["ts", "group", *features]
        self._tell = tell
        self._monotonic = monotonic
        # Windows of a single reading: what completes one is what a monitor takes in.
        self._taken_in = WindowStage(1, len(features), WindowRules(math.inf, max_skew))
        self._inbox = Inbox()
        self._log = PipelineLog()
        self._connected = threading.Event()
        self._problem = ""
        self._size = 0
        self._first, self._last = math.inf, -math.inf
        self.written = 0
        """Readings in the file."""
        self.groups: set[str] = set()
        self.refused: Counter[Outcome] = Counter()
        """Readings that came and aren't in the file."""

    def __str__(self) -> str:
        """Say what is in the file, in a line."""
        text = f"{self.written:,} readings of {len(self.groups):,} group(s)"
        if self.written:
            text += f" from {_when(self._first)} to {_when(self._last)}"
        if self.refused:
            text += "; refused: " + ", ".join(f"{name} {count:,}" for name, count in self.refused.items())
        return text

    def run(self, session: Session, stop: threading.Event, seconds: float | None) -> bool:
        """Record until `stop` is set or so many seconds after the subscription; return whether they passed.

        Where it is stopped before there is a connection, nothing is written.

        Raises
        ------
        UnusableError : the file is there already, or can't be made. Nothing was connected to then.
        FailedError : the broker can't be reached, the file can't be written, or no reading came.
        """
        file = _new_file(self._path)
        try:
            self._write(file, [self._header])
            session.start()
            while not self._connected.wait(_STEP):
                if stop.is_set():
                    return False
            self._raise_problem()
            end = math.inf if seconds is None else self._monotonic() + seconds
            while not stop.is_set() and self._monotonic() < end:
                self._turn(file, session, min(_STEP, max(0.0, end - self._monotonic())))
            self._turn(file, session, 0.0)
            ended = self._monotonic() >= end
            if not self.written:
                raise FailedError(f"{self._path}: not written, for no reading came ({self})")
            return ended
        finally:
            self._inbox.close()
            session.stop(timeout=1.0)
            file.close()
            if not self.written:
                self._path.unlink(missing_ok=True)

    def connected(self) -> None:
        """Hear from the session that it is subscribed."""
        if self._connected.is_set():
            _log.info("connected again")
        self._connected.set()

    def disconnected(self, reason: str) -> None:
        """Hear from the session why it isn't connected: at the start that is the end."""
        if self._connected.is_set():
            _log.warning("%s; trying again, and what comes meanwhile is missing in the recording", reason)
        else:
            self._problem = reason
            self._connected.set()

    def taken_over(self) -> None:
        """Hear that another client has our id, which is random, so this is all but impossible."""
        self._problem = "another client has taken over the client id"
        self._connected.set()

    def publish_refused(self) -> None:
        """Hear nothing: nothing is published."""

    def received(self, messages: Sequence[Delivery], read: Read | None) -> None:  # noqa: ARG002, it never waits
        """Take messages from the session."""
        self._inbox.put(messages)

    def requested(self, asked: Asked) -> None:
        """Hear nothing: no requests are subscribed to."""

    def _raise_problem(self) -> None:
        if self._problem:
            raise FailedError(self._problem)

    def _turn(self, file: BinaryIO, session: Session, timeout: float) -> None:
        """Write one batch, if there is any."""
        taken = self._inbox.take(timeout)
        self._raise_problem()
        readings, refusals = self._decode.decode(taken.messages, taken.arrivals)
        accepted = self._taken_in.push(readings)
        refusals += _out_of_step(readings, accepted.outcomes)
        self._keep(file, readings, accepted)
        session.acknowledge([receipt for _, _, receipt, _ in taken.messages if receipt is not None])
        self.refused.update(refusal.outcome for refusal in refusals)
        self._log.refused(refusals)
        if taken.overflowed:
            self.refused[Outcome.OVERFLOW] += taken.overflowed
            self._log.overflowed(taken.overflowed)
        self._tell(str(self))

    def _keep(self, file: BinaryIO, readings: Readings, accepted: Windows) -> None:
        if not len(accepted.rows):
            return
        groups = [readings.groups[row] for row in accepted.rows.tolist()]
        ts: FloatArray = accepted.ts[:, -1]  # (reading,)
        values = accepted.values[:, -1].tolist()  # (reading, feature)
        rows = [[at, group, *row] for at, group, row in zip(ts.tolist(), groups, values, strict=True)]
        self._write(file, rows)
        self.groups.update(groups)
        self.written += len(groups)
        self._first, self._last = min(self._first, float(np.min(ts))), max(self._last, float(np.max(ts)))

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
                file.truncate(self._size)
            raise FailedError(f"{self._path}: can't be written: {error.strerror}") from error
        self._size = file.tell()


def _new_file(path: Path) -> BinaryIO:
    """Make a recording's file, where there is none of that name.

    Raises
    ------
    UnusableError : there is one, its name isn't a CSV file's, or it can't be made.
    """
    if path.suffix.lower() != ".csv":
        raise UnusableError(f"--out: {path} is no name of a CSV file; expected one that ends in .csv")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb", buffering=0)
    except FileExistsError:
        raise UnusableError(f"--out: {path} is there already; expected a new name") from None
    except OSError as error:
        raise UnusableError(f"--out: {path} can't be made: {error.strerror}") from error


def _out_of_step(readings: Readings, outcomes: Sequence[Outcome]) -> list[Refusal]:
    return [
        Refusal(outcome, group, f"{_DROPPED[outcome]} (ts {ts:.3f})")
        for outcome, group, ts in zip(outcomes, readings.groups, readings.ts.tolist(), strict=True)
        if outcome in _DROPPED
    ]


def _when(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
