"""The interfaces between the pipeline and its environment: ports, source, sink, log and observer."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.core.messages import InboundMessage, MessageBatch, OutboundMessage
from monitor.core.readings import Readings, RejectedReading
from monitor.core.values import RejectedValue
from monitor.core.verdicts import AlertEvent, GroupStatus
from monitor.detect.scoring import ScoredBatch
from monitor.operators.audit import Sender

__all__ = [
    "BatchObserver",
    "EventLog",
    "HandleDropped",
    "HandleRequest",
    "PipelinePorts",
    "RequestPort",
    "Sink",
    "Source",
]


class PipelinePorts(Protocol):
    """Input and output of the pipeline."""

    def take(self, timeout: float) -> MessageBatch:
        """Return all queued messages; if there are none, wait at most `timeout` seconds for the first."""

    def commit(
        self, groups: Iterable[str], messages: Iterable[OutboundMessage], births: Mapping[str, bytes]
    ) -> bool:
        """Store the state of changed groups, messages to publish and births; return whether all is stored.

        Parameters
        ----------
        births : as `DecodedMessages.births`.
        """

    def commit_now(self, groups: Iterable[str]) -> bool:
        """Store the state of the given groups now; return whether it is stored."""

    def emit(self, states: Iterator[OutboundMessage]) -> bool:
        """Publish stored messages, then states up to a limit; return whether all are confirmed."""

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Acknowledge the given messages, so that the broker does not deliver them again."""


class RequestPort(Protocol):
    """A request of an operator, as received by the source."""

    @property
    def name(self) -> str:
        """Name of the request, see `operators.requests`."""

    @property
    def payload(self) -> bytes:
        """A JSON object, or empty."""

    @property
    def retained(self) -> bool:
        """Whether the request is a retained message, which the broker sends on each subscription."""

    @property
    def sender(self) -> Sender:
        """Who sent it, as far as it is known."""

    @property
    def problem(self) -> str:
        """Why it can't be done whatever it says, as text for users; "" if it can."""

    def respond(self, response: bytes) -> None:
        """Send the response, and acknowledge the request, so that it is not delivered again."""


HandleRequest = Callable[[RequestPort], None]
"""Accepts a request that will be answered later. It is called on the source's thread and must be quick."""

HandleDropped = Callable[[int], None]
"""Takes a number of requests that came too fast and were dropped; called on any thread."""


class Source(Protocol):
    """Receives messages with readings, and requests.

    The constructor checks its arguments and does not use the network.
    """

    @property
    def needs_acks(self) -> bool:
        """Whether messages must be acknowledged; if so, each batch is stored immediately."""

    @property
    def problem(self) -> str:
        """Why no messages can be received, as text for users; "" if they can."""

    def __len__(self) -> int:
        """Return the number of queued messages."""

    def start(self, handle_request: HandleRequest, handle_dropped: HandleDropped, /) -> None:
        """Connect in the background, now or as soon as that is possible."""

    def take(self, timeout: float) -> MessageBatch:
        """Return the queued messages, at most one batch; wait at most `timeout` seconds for the first."""

    def wait(self, timeout: float) -> MessageBatch:
        """Wait `timeout` seconds and return an empty batch; messages that arrive are queued, or overflow."""

    def wake(self) -> None:
        """Make the current or next `take` or `wait` return at once; any thread may call this."""

    def acknowledge(self, tokens: Sequence[object], /) -> None:
        """Acknowledge the messages with these tokens."""

    def close(self) -> None:
        """Accept no more messages: later messages are not acknowledged, so the broker delivers them again."""

    def stop(self, timeout: float) -> None:
        """Disconnect, after waiting at most `timeout` seconds for the confirmation of sent messages."""

    def reconfigure(self, settings: Settings, manifest: Manifest) -> None:
        """Use other settings and another bundle from now on."""


class Sink(Protocol):
    """Publishes alerts, states and other messages. The constructor does not use the network."""

    @property
    def ready(self) -> bool:
        """Whether messages can be published now."""

    @property
    def problem(self) -> str:
        """Why messages can't be published, as text for users; "" if they can."""

    def start(self) -> None:
        """Connect in the background, now or as soon as that is possible."""

    def publish(self, message: OutboundMessage) -> object:
        """Publish a message; return the token that `take_confirmed` returns when the message is confirmed."""

    def take_confirmed(self) -> Iterable[tuple[object, float | None]]:
        """Return the tokens of messages that were confirmed, or finally refused, since the last call.

        Each with the monotonic time of its confirmation in seconds; None if it was refused.
        """

    def stop(self, timeout: float) -> None:
        """Disconnect."""

    def reconfigure(self, settings: Settings) -> None:
        """Use other settings from now on."""


class EventLog(Protocol):
    """Logs events of the pipeline."""

    def log_rejected(self, rejected: Sequence[RejectedReading]) -> None:
        """Log readings that were dropped, with the reasons."""

    def log_rejected_values(self, rejected: Sequence[RejectedValue]) -> None:
        """Log values that were dropped, with the reasons."""

    def log_overflow(self, count: int) -> None:
        """Log that `count` messages were dropped because the receive queue was full."""

    def log_excess(self, counts: Counter[str]) -> None:
        """Log how many messages of each topic were dropped because it brought more than its share."""

    def log_alerts(self, events: Sequence[AlertEvent]) -> None:
        """Log incidents that began or ended."""

    def log_mixed_senders(self, groups: Sequence[str]) -> None:
        """Log groups whose readings seem to come from two senders."""

    def log_silent(self, groups: Sequence[str]) -> None:
        """Log groups that fell silent."""

    def log_input_problem(self, kind: str, problem: str) -> None:
        """Log why nothing can be judged although readings come; called again as long as that lasts."""

    def log_clock_step(self, step: float, group_count: int) -> None:
        """Log that the wall clock was set by `step` seconds, and how many groups begin afresh therefore."""

    def log_muted_incidents(self, events: Sequence[AlertEvent]) -> None:
        """Log the incidents that began in muted groups, given their first events."""

    def log_load_errors(self, reasons: Sequence[str]) -> None:
        """Log groups whose stored state can't be read, and which therefore start as new groups."""


class BatchObserver(Protocol):
    """Receives each judged batch on the pipeline thread. Its methods should only copy, to return quickly."""

    def observe(self, readings: Readings, scored: ScoredBatch, statuses: Sequence[GroupStatus]) -> None:
        """Receive a batch, its scores, and the statuses that changed."""

    def forget(self, names: Sequence[str]) -> None:
        """Remove groups that were evicted from memory, or forgotten."""
