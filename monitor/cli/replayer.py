"""Publishes a recording as a plant would send it, with unchanged event times."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from monitor.cli.broker_client import ClientListener
from monitor.core.errors import RecordingError
from monitor.core.topics import Template
from monitor.ingest.formats.json_object import TS
from monitor.mqtt import Session
from monitor.recordings.reader import Recording, RecordingRow

__all__ = ["Replayer"]

_log = logging.getLogger(__name__)

# Messages published and not yet confirmed: enough to keep the connection busy, few enough to hold in memory.
_MAX_IN_FLIGHT = 1000
# Seconds between two checks for confirmations while the replayer has nothing else to do.
_POLL_INTERVAL_S = 0.005


class Replayer(ClientListener):
    """Publishes the rows of one recording.

    Parameters
    ----------
    recording : the recording to publish.
    templates : the input templates; a group is published to the first template with as many names as the
        group has parts.
    fields : feature (or `ts`) -> dotted path in the payload, as in the settings of the monitor that listens.
    speed : seconds of the recording per second of real time; 0: as fast as the broker confirms.
    """

    def __init__(
        self, recording: Recording, templates: list[Template], fields: Mapping[str, str], speed: float
    ) -> None:
        super().__init__()
        self._recording = recording
        self._templates = templates
        self._fields = fields
        self._speed = speed
        self.published_count = 0
        """Number of readings published so far."""
        self.first_problem = ""
        """Why the first unreadable row can't be judged by any monitor; "" if there is no such row."""
        self._usable_count = 0

    def run(self, session: Session, qos: int, stop: threading.Event) -> None:
        """Publish rows until the last row or until `stop` is set, and wait for the broker's confirmations.

        Raises
        ------
        RecordingError : a row can't be read or has no topic.
        OperationError : the broker can't be reached.
        """
        session.start()
        try:
            self.wait_for_connection(stop)
            self._publish(session, qos, stop)
        finally:
            session.stop(timeout=1.0)

    def check_usable(self) -> None:
        """Refuse a recording that was published without one row that a monitor could judge.

        Raises
        ------
        RecordingError : it is one.
        """
        if not self._usable_count:
            raise RecordingError(f"{self._recording.path}: no row can be judged; {self.first_problem}")

    def on_connection_lost(self, reason: str) -> None:
        """Log the reason: the session reconnects, and the replay continues."""
        _log.warning("%s; trying again", reason)

    def _publish(self, session: Session, qos: int, stop: threading.Event) -> None:
        unconfirmed: set[int] = set()
        begin = time.monotonic()
        first_ts: float | None = None
        for number, row in enumerate(self._recording.rows(), start=1):
            if row.ts is not None:
                first_ts = row.ts if first_ts is None else first_ts
                if self._speed:
                    stop.wait(max(0.0, begin + (row.ts - first_ts) / self._speed - time.monotonic()))
            while len(unconfirmed) >= _MAX_IN_FLIGHT and not stop.wait(_POLL_INTERVAL_S):
                unconfirmed.difference_update(session.take_delivered())
            if stop.is_set():
                break
            unconfirmed.add(session.publish(self._topic(row.group, number), self._payload(row), qos=qos))
            self.published_count += 1
            self.first_problem = self.first_problem or row.problem
            self._usable_count += row.ts is not None and any(value is not None for value in row.values)
        while unconfirmed and not stop.wait(_POLL_INTERVAL_S):
            unconfirmed.difference_update(session.take_delivered())

    def _topic(self, group: str, row_number: int) -> str:
        for template in self._templates:
            if template.can_yield(group):
                return template.topic(group)
        raise RecordingError(
            f"{self._recording.path}: row {row_number}: group {group!r} fits no template of input.topics; "
            f"expected as many parts as one of {', '.join(t.text for t in self._templates)} has names"
        )

    def _payload(self, row: RecordingRow) -> bytes:
        """Return the reading as the plant would send it; a value that can't be read is sent as null."""
        content: dict[str, Any] = {}
        values = [row.ts if row.ts is not None else row.ts_text, *row.values]
        for name, value in zip([TS, *self._recording.features], values, strict=True):
            *parents, last = self._fields.get(name, name).split(".")
            node = content
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
        return msgspec.json.encode(content)
