"""Publishes a recording as a plant would send it; event times stay as they are."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from monitor.core.errors import OperationError, RecordingError
from monitor.core.messages import InboundMessage, InboundRequest, ReadOnce
from monitor.core.topics import Template
from monitor.ingest.formats.json_object import TS
from monitor.mqtt import Session
from monitor.recordings.reader import Recording, RecordingRow

__all__ = ["Replayer"]

_log = logging.getLogger(__name__)

# Published and not confirmed: enough to keep the line busy, little enough to hold.
_MAX_IN_FLIGHT = 1000
# How often confirmations are looked for where there is nothing to do but wait, in seconds.
_POLL_INTERVAL_S = 0.005
# The same while there is no connection yet.
_CONNECT_POLL_INTERVAL_S = 0.1


class Replayer:
    """Publishes the rows of one recording.

    Parameters
    ----------
    recording : what to publish.
    templates : the input templates; a group goes to the one with as many names as it has parts.
    fields : feature (or `ts`) -> dotted path in the payload, as the monitor that listens has it.
    speed : how many seconds of the recording pass in one; 0 is flat out.
    """

    def __init__(
        self, recording: Recording, templates: list[Template], fields: Mapping[str, str], speed: float
    ) -> None:
        self._recording = recording
        self._templates = templates
        self._fields = fields
        self._speed = speed
        self._connected = threading.Event()
        self._problem = ""
        self.published_count = 0
        self.first_problem = ""
        """What is wrong with the first reading that no monitor can judge."""
        self.last_ts = float("-inf")
        """Event time of the newest reading that was published, seconds since the Unix epoch."""

    def run(self, session: Session, qos: int, stop: threading.Event) -> None:
        """Publish all rows, or until `stop` is set, and wait until the broker has them.

        Raises
        ------
        RecordingError : a row can't be read or has no topic.
        FailedError : the broker can't be reached.
        """
        session.start()
        try:
            while not self._connected.wait(_CONNECT_POLL_INTERVAL_S) and not stop.is_set():
                pass
            if self._problem:
                raise OperationError(self._problem)
            self._publish(session, qos, stop)
        finally:
            session.stop(timeout=1.0)

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
            self.last_ts = max(self.last_ts, row.ts or self.last_ts)
        while unconfirmed and not stop.wait(_POLL_INTERVAL_S):
            unconfirmed.difference_update(session.take_delivered())

    def on_connected(self) -> None:
        """Hear from the session that it is ready."""
        self._connected.set()

    def on_disconnected(self, reason: str) -> None:
        """Hear from the session why it isn't ready."""
        if self._connected.is_set():
            _log.warning("%s; trying again", reason)
        else:
            self._problem = reason
            self._connected.set()

    def on_taken_over(self) -> None:
        """Hear that another client has our id, which is random, so this is all but impossible."""
        self.on_disconnected("another client has taken over the client id")

    def on_publish_failed(self) -> None:
        """Leave it to the log."""

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Nothing is subscribed to."""

    def on_request(self, request: InboundRequest) -> None:
        """Nothing is subscribed to."""

    def _topic(self, group: str, row_number: int) -> str:
        for template in self._templates:
            if template.can_yield(group):
                return template.topic(group)
        raise RecordingError(
            f"{self._recording.path}: row {row_number}: group {group!r} fits no template of input.topics; "
            f"expected as many parts as one of {', '.join(t.text for t in self._templates)} has names"
        )

    def _payload(self, row: RecordingRow) -> bytes:
        """Return the reading as the plant would send it; what can't be read goes out as null."""
        content: dict[str, Any] = {}
        values = [row.ts if row.ts is not None else row.ts_text, *row.values]
        for name, value in zip([TS, *self._recording.features], values, strict=True):
            *parents, last = self._fields.get(name, name).split(".")
            node = content
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
        return msgspec.json.encode(content)
