"""MQTT as the source of readings and requests: the input session, with a queue behind it."""

import logging
import math
import time
from collections.abc import Callable, Sequence

from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.core.messages import InboundMessage, InboundRequest, MessageBatch, ReadOnce
from monitor.mqtt.births import Births, info_topic, will
from monitor.mqtt.client_id import client_id, probe_client_id, publish_client_id
from monitor.mqtt.connection_status import INPUT, ConnectionStatus
from monitor.mqtt.home_assistant_status import is_birth, is_status, status_filters
from monitor.mqtt.operator_request import OperatorRequest, receive_operator_request
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.mqtt.session import Session
from monitor.mqtt.session_options import SessionOptions
from monitor.mqtt.topic_limit import TopicLimit
from monitor.publish.publisher import RepublishSignals
from monitor.telemetry.metrics import Metrics

__all__ = ["MqttSource"]

_log = logging.getLogger(__name__)

_LOG_INTERVAL_S = 60.0  # between two log lines about the same
# After so many seconds without work in which nothing was acknowledged the broker has kept messages: the
# process was stopped, or the store or the outbox could take no more.
_STALL_S = 5.0


class MqttSource:
    """The session by which readings and requests come, and whose end the broker announces by its will.

    Parameters
    ----------
    settings, manifest : those in use.
    previous_filters : topic filters of an earlier process, which the broker may have stored.
    metrics : counts connections and refused messages.
    signals : get set when the broker may have lost what it retained.
    request_exit : ends the daemon with an exit code.

    Raises
    ------
    ConfigurationError : a password file, certificate or key can't be used.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        manifest: Manifest,
        previous_filters: Sequence[str],
        metrics: Metrics,
        signals: RepublishSignals,
        request_exit: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._signals = signals
        self._request_exit = request_exit
        self._queue = ReceiveQueue()
        self._births = Births()
        self._handle_request: Callable[[OperatorRequest], None] = lambda _: None
        self._handle_dropped: Callable[[int], None] = lambda _: None
        self._was_connected = False
        self._loss_logged_at = -math.inf  # monotonic seconds
        self._has_unacknowledged = False
        self._idle_at_progress = _idle_seconds()  # when all was last acknowledged
        self._filters = settings.input.filters
        gateways = [found for source in settings.input.sources for found in source.gateway_templates]
        self._limit = TopicLimit(
            lambda: self._queue.is_behind,
            lambda topic: any(template.match(topic) is not None for template in gateways),
        )
        is_shared = settings.mqtt.connections == 1
        self.connection_status = ConnectionStatus(
            metrics, (client_id(settings), publish_client_id(settings)), is_shared=is_shared
        )
        """The state of this connection and of the sink's."""
        options = SessionOptions(
            filters=self._filters,
            previous_filters=tuple(previous_filters),
            births=self._births.messages(settings, manifest),
            takeover_topic=info_topic(settings),
            request_filters=(
                f"{settings.mqtt.base_topic}/request/#",
                *(status_filters(settings) if is_shared else ()),
            ),
            on_requests_dropped=self._on_requests_dropped,
            will=will(settings),
            probe_client_id=probe_client_id(settings),
            durable=True,
            limit=self._limit,
        )
        self.session = Session(settings.mqtt, client_id(settings), self, options)
        """The session, which the sink publishes by where there is one connection for both."""
        self.needs_acks = settings.mqtt.qos > 0
        """Whether messages are to be acknowledged; each batch is stored at once then."""

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._queue)

    @property
    def problem(self) -> str:
        """Why no message can come, for people; "" if they can."""
        return self.session.problem

    @property
    def ready(self) -> bool:
        """Whether the session is connected and every subscription granted."""
        return self.session.ready

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """All topic filters subscribed to: the `previous_filters` of the process after this one."""
        return self.session.subscriptions

    def start(
        self, handle_request: Callable[[OperatorRequest], None], handle_dropped: Callable[[int], None]
    ) -> None:
        """Connect in the background.

        Parameters
        ----------
        handle_request : gets each request, on the network thread.
        handle_dropped : gets the number of requests that came too fast, on any thread.
        """
        self._handle_request, self._handle_dropped = handle_request, handle_dropped
        self.session.start()

    def take(self, timeout: float) -> MessageBatch:
        """Return all messages that wait, up to a batch; wait for the first at most `timeout` seconds."""
        batch = self._queue.take(timeout)
        messages = batch.to_acknowledge
        # Of the last alone: the others are like it, but for a station that sends with QoS 0.
        self._has_unacknowledged |= bool(messages) and messages[-1][2] is not None
        if not self._has_unacknowledged:
            self._note_progress()
        return batch

    def wait(self, timeout: float) -> MessageBatch:
        """Return no message, after `timeout` seconds; messages that arrive wait, or overflow."""
        return self._queue.wait(timeout)

    def wake(self) -> None:
        """Let the present or next `take` or `wait` return at once; any thread may call this."""
        self._queue.wake()

    def acknowledge(self, tokens: Sequence[object]) -> None:
        """Acknowledge the messages with these tokens; tokens of an earlier connection have no effect."""
        self.session.acknowledge(tokens)
        self._has_unacknowledged = False
        self._note_progress()

    def _note_progress(self) -> None:
        idle = _idle_seconds()
        if idle - self._idle_at_progress > _STALL_S:
            self._limit.expect_backlog()
        self._idle_at_progress = idle

    def close(self) -> None:
        """Accept no more messages: those that come now are not acknowledged, and come again."""
        self._queue.close()

    def stop(self, timeout: float) -> None:
        """Publish `offline`, wait for its confirmation at most `timeout` seconds, and disconnect."""
        self.session.stop(timeout)

    def reconfigure(self, settings: Settings, manifest: Manifest) -> None:
        """Continue with other settings and another bundle."""
        before, self._settings = self._settings.mqtt, settings
        self.session.update_births(self._births.messages(settings, manifest))
        if before != settings.mqtt:
            self.session.reconnect_to(settings.mqtt)

    # What the session calls, on the network thread

    def on_connected(self) -> None:
        """Count the connection, and have everything retained published again."""
        if self._was_connected:
            self._metrics.mqtt_reconnects.inc()
        # A broker that was killed comes back with what it saved last, and doesn't say what it lost.
        self._signals.request_states()
        self.wake()
        self._was_connected = True
        mqtt = self._settings.mqtt
        self.connection_status.on_connected(
            INPUT, f"connected to {mqtt.host}:{mqtt.port}, subscribed to {', '.join(self._filters)}"
        )

    def on_disconnected(self, reason: str) -> None:
        """Log why there is no connection."""
        self.connection_status.on_disconnected(INPUT, reason)

    def on_taken_over(self) -> None:
        """End the daemon: two monitors of one id would disconnect each other for ever."""
        self._metrics.set_connections(is_input_up=False, is_output_up=False)
        _log.error(
            "mqtt.client_id: another monitor, which started later, connected as %r and took the session "
            "over; expected an id of its own for each monitor",
            client_id(self._settings),
        )
        self._request_exit(2)

    def on_session_taken(self) -> None:
        """Count that another client took the session; the log says so with the end of the connection."""
        self._metrics.session_takeovers.inc()

    def on_session_lost(self) -> None:
        """Say that what waited at the broker is gone."""
        self._metrics.sessions_lost.inc()
        now = time.monotonic()
        if now - self._loss_logged_at >= _LOG_INTERVAL_S:
            self._loss_logged_at = now
            _log.warning(
                "the broker has no session of %r any more: readings and requests that waited there are lost. "
                "Expected that it keeps sessions over its restarts (persistence), and that no other client "
                "can connect with this client id",
                client_id(self._settings),
            )

    def on_publish_failed(self) -> None:
        """Count a message that no subscriber gets."""
        self._metrics.messages_refused.inc()

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Put messages into the queue, then pause while the pipeline works."""
        self._queue.put(messages)
        if read_once:
            self._queue.pause(read_once)

    def on_home_assistant_status(self, request: InboundRequest, session: Session) -> None:
        """Have all groups announced again when Home Assistant starts."""
        session.acknowledge([request.ack_token])
        if is_birth(request):
            self._signals.request_announcements()
            self.wake()

    def _on_requests_dropped(self, count: int) -> None:
        self._handle_dropped(count)

    def on_request(self, request: InboundRequest) -> None:
        """Pass a request on; have all groups announced again when Home Assistant starts."""
        if is_status(request, self._settings):
            self.on_home_assistant_status(request, self.session)
            return
        operator_request = receive_operator_request(request, self._settings.mqtt.base_topic, self.session)
        if operator_request is None:
            return
        if not operator_request.is_answerable:
            self._metrics.operators.unanswerable.inc()
        self._handle_request(operator_request)


def _idle_seconds() -> float:
    """Return monotonic seconds without those of work: a batch of arrays takes long in a flood, too."""
    return time.monotonic() - time.process_time()
