"""The protocols of what surrounds the pipeline: its four verbs, sources, sinks, log and observer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.core.messages import InboundMessage, MessageBatch, OutboundMessage
from monitor.core.readings import Readings, RejectedReading
from monitor.core.verdicts import AlertEvent, GroupStatus
from monitor.detect.scoring import ScoredBatch

__all__ = ["BatchObserver", "EventLog", "HandleRequest", "PipelinePorts", "RequestPort", "Sink", "Source"]


class PipelinePorts(Protocol):
    """The pipeline's surroundings."""

    def take(self, timeout: float) -> MessageBatch:
        """Return all messages that wait; wait for the first at most `timeout` seconds."""

    def commit(self, groups: Iterable[str], messages: Iterable[OutboundMessage]) -> bool:
        """Store the state of changed groups and messages to publish; return whether all is stored."""

    def commit_now(self, groups: Iterable[str]) -> bool:
        """Store the state of these groups now; return whether it is stored."""

    def emit(self, states: Iterator[OutboundMessage]) -> bool:
        """Publish stored messages, then states as far as there is room; return if all is confirmed."""

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Acknowledge these messages, so that they don't come again."""


class RequestPort(Protocol):
    """A request of an operator, as it came from outside."""

    @property
    def name(self) -> str:
        """Which request, see `operators.requests`."""

    @property
    def payload(self) -> bytes:
        """A JSON object, or nothing."""

    @property
    def retained(self) -> bool:
        """Whether it comes again with each subscription."""

    def respond(self, response: bytes) -> None:
        """Send the answer, and see that the request doesn't come again."""


HandleRequest = Callable[[RequestPort], None]
"""Accepts a request that will be answered later. It is called on the source's thread and must be quick."""


class Source(Protocol):
    """Where messages with readings, and requests, come from.

    The constructor checks what it is given and touches no network.
    """

    @property
    def needs_acks(self) -> bool:
        """Whether messages are to be acknowledged; each batch is stored at once then."""

    @property
    def problem(self) -> str:
        """Why no message can come, for people; "" if they can."""

    def __len__(self) -> int:
        """Return how many messages wait."""

    def start(self, handle_request: HandleRequest, /) -> None:
        """Connect in the background, now or as soon as that is possible."""

    def take(self, timeout: float) -> MessageBatch:
        """Return all messages that wait, up to a batch; wait for the first at most `timeout` seconds."""

    def wait(self, timeout: float) -> MessageBatch:
        """Return no message, after `timeout` seconds; messages that arrive wait, or overflow."""

    def wake(self) -> None:
        """Let the present or next `take` or `wait` return at once; any thread may call this."""

    def acknowledge(self, tokens: Sequence[object], /) -> None:
        """Acknowledge the messages with these tokens."""

    def close(self) -> None:
        """Accept no more messages: those that come now are not acknowledged, and come again."""

    def stop(self, timeout: float) -> None:
        """Disconnect; wait at most `timeout` seconds until all that is to be sent before is confirmed."""

    def reconfigure(self, settings: Settings, manifest: Manifest) -> None:
        """Continue with other settings and another bundle."""


class Sink(Protocol):
    """Where alerts, states and other messages go to. The constructor touches no network."""

    @property
    def ready(self) -> bool:
        """Whether messages can be published now."""

    @property
    def problem(self) -> str:
        """Why not, for people; "" if they can."""

    def start(self) -> None:
        """Connect in the background, now or as soon as that is possible."""

    def publish(self, message: OutboundMessage) -> object:
        """Publish a message; return the token that `take_confirmed` returns once it has arrived."""

    def take_confirmed(self) -> Iterable[object]:
        """Return the tokens of the messages confirmed, or refused for good, since the last call."""

    def stop(self, timeout: float) -> None:
        """Disconnect."""

    def reconfigure(self, settings: Settings) -> None:
        """Continue with other settings."""


class EventLog(Protocol):
    """Writes events of the pipeline for people to read."""

    def log_rejected(self, rejected: Sequence[RejectedReading]) -> None:
        """Log readings that were dropped, with the reasons."""

    def log_overflow(self, count: int) -> None:
        """Log that so many messages were dropped for want of room."""

    def log_alerts(self, events: Sequence[AlertEvent]) -> None:
        """Log incidents that began or ended."""

    def log_load_errors(self, reasons: Sequence[str]) -> None:
        """Log groups that start afresh because their stored state can't be read."""


class BatchObserver(Protocol):
    """Gets each judged batch on the pipeline thread, which waits for it: it should only copy."""

    def observe(self, readings: Readings, scored: ScoredBatch, statuses: Sequence[GroupStatus]) -> None:
        """Accept a batch, its verdicts and the statuses that changed."""

    def forget(self, names: Sequence[str]) -> None:
        """Drop groups that were evicted."""
