"""The messages by which a recording is published again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from monitor.core.errors import RecordingError
from monitor.core.topics import Template
from monitor.ingest.formats.json_object import TS
from monitor.recordings.reader import Recording, RecordingRow

__all__ = ["ReadingMessages", "ReplayedMessage", "ReplayedMessages"]


class ReplayedMessage(NamedTuple):
    """A message to publish."""

    sent_at: float | None
    """When the plant sent it, seconds since the Unix epoch; None if the recording doesn't say."""
    topic: str
    payload: bytes


class ReplayedMessages(Protocol):
    """The messages of a recording. What is found out about a message is known once the next is asked for."""

    @property
    def path(self) -> Path:
        """The recording's file."""

    @property
    def noun(self) -> str:
        """What a message is: "reading" or "message"."""

    @property
    def first_problem(self) -> str:
        """Why the first unreadable row can't be judged by any monitor; "" if there is no such row."""

    @property
    def usable_count(self) -> int:
        """Number of messages so far that a monitor could use."""

    def __iter__(self) -> Iterator[ReplayedMessage]:
        """Yield the messages in the recording's order.

        Raises
        ------
        RecordingError : a row can't be read, or can't be published.
        """


class ReadingMessages:
    """One message a reading.

    Parameters
    ----------
    recording : the recording to publish.
    templates : the input templates; a group is published to the first template with as many names as the
        group has parts.
    fields : feature (or `ts`) -> dotted path in the payload, as in the settings of the monitor that listens.
    """

    noun = "reading"

    def __init__(self, recording: Recording, templates: list[Template], fields: Mapping[str, str]) -> None:
        self._recording = recording
        self._templates = templates
        self._fields = fields
        self.path = recording.path
        self.first_problem = ""
        self.usable_count = 0

    def __iter__(self) -> Iterator[ReplayedMessage]:
        """Yield the readings in the recording's order."""
        for number, row in enumerate(self._recording.rows(), start=1):
            yield ReplayedMessage(row.ts, self._topic(row.group, number), self._payload(row))
            self.first_problem = self.first_problem or row.problem
            self.usable_count += row.ts is not None and any(value is not None for value in row.values)

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
