"""The daemon's link to the broker: what it says of itself there, hears, and is asked."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from monitor import __version__
from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.core.messages import (
    JSON_PROPERTIES,
    TEXT_PROPERTIES,
    InboundMessage,
    InboundRequest,
    MessageProperties,
    ReadOnce,
)
from monitor.core.topics import Template
from monitor.mqtt import Session
from monitor.mqtt.client_id import client_id
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.operators import requests
from monitor.operators.commands import Respond
from monitor.publish.home_assistant import BIRTH_PAYLOAD
from monitor.publish.payloads import info_payload
from monitor.telemetry.logs import RequestLog
from monitor.telemetry.metrics import Metrics

__all__ = ["BrokerLink"]

_log = logging.getLogger(__name__)

# Of a request's name, what its answer's topic has of it: a longer one is no request of ours, in characters.
_MAX_NAME_LENGTH = 100


class _PublishListener:
    """Listens to the connection by which alerts and states go out.

    It is one of its own: under a flood of readings the broker's confirmations would otherwise stand behind
    all of them, and alerts with them.
    """

    def __init__(self, broker_link: "BrokerLink") -> None:
        self._broker_link = broker_link

    def on_connected(self) -> None:
        self._broker_link.wake()  # the outbox may hold what couldn't be sent

    def on_disconnected(self, reason: str) -> None:
        if self._broker_link.session.ready:  # else the other connection says the same
            _log.warning("alerts and states wait: %s; trying again until it works", reason)

    def on_taken_over(self) -> None:
        self._broker_link.on_taken_over()

    def on_publish_failed(self) -> None:
        self._broker_link.on_publish_failed()

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Nothing is subscribed to."""

    def on_request(self, request: InboundRequest) -> None:
        """Hear of Home Assistant, if that is wanted."""
        self._broker_link.publish_session.acknowledge([request.ack_token])
        if request.payload == BIRTH_PAYLOAD:
            self._broker_link.home_assistant_restarted.set()
            self._broker_link.wake()


class BrokerLink:
    """Listens to the session for the daemon.

    Parameters
    ----------
    settings, manifest : in use.
    previous_filters : topic filters of an earlier process, which the broker may have stored.
    receive_queue : where readings go.
    metrics : looks on.
    reload : does what the request of that name asks for; returns why not, or "".
    submit : takes all other requests, to be answered once they are done; returns False where too many wait.
    request_exit : ends the daemon with an exit code.

    Raises
    ------
    ConfigurationError : a password file, certificate or key can't be used.
    """

    def __init__(
        self,
        settings: Settings,
        manifest: Manifest,
        previous_filters: Sequence[str],
        receive_queue: ReceiveQueue,
        metrics: Metrics,
        reload: Callable[[], str],
        submit: Callable[[requests.Request, Respond], bool],
        request_exit: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._receive_queue = receive_queue
        self._metrics = metrics
        self._reload = reload
        self._submit = submit
        self._request_exit = request_exit
        self._base_topic = settings.mqtt.base_topic
        self._filters = [Template(text).filter for text in settings.input.topics]
        self._started_at = time.time()
        self._instance_id = secrets.token_hex(8)
        self._was_connected = False
        self._request_log = RequestLog()
        self._reload_lock = threading.Lock()
        self.retained_lost = threading.Event()
        """Set when the broker may have lost what it retained."""
        self.home_assistant_restarted = threading.Event()
        """Set when Home Assistant begins."""
        name = client_id(settings)
        self.publish_session = Session(
            settings.mqtt,
            f"{name}-out",
            _PublishListener(self),
            request_filter=_home_assistant_status_filter(settings),
        )
        """The connection by which alerts and states go out."""
        self.session = Session(
            settings.mqtt,
            name,
            self,
            filters=self._filters,
            previous_filters=previous_filters,
            births=self._birth_messages(manifest),
            takeover_topic=f"{self._base_topic}/info",
            request_filter=f"{self._base_topic}/request/#",
            will=(f"{self._base_topic}/status", b"offline"),
            durable=True,
        )
        """The connection by which readings come, and whose end the broker tells everybody."""

    @property
    def problem(self) -> str:
        """Why nothing comes or goes, for people; "" if all does."""
        return self.session.problem or self.publish_session.problem

    def start(self) -> None:
        """Connect in the background."""
        self.publish_session.start()
        self.session.start()

    def stop(self, timeout: float) -> None:
        """Say `offline`, wait for the broker to have it at most `timeout` seconds, and leave."""
        self.publish_session.stop(timeout)
        self.session.stop(timeout)

    def wake(self) -> None:
        """Let the pipeline look what it can send."""
        self._receive_queue.wake()

    def reconfigure(self, settings: Settings, manifest: Manifest) -> None:
        """Go on with other settings and another bundle."""
        before, self._settings = self._settings.mqtt, settings
        self.session.update_births(self._birth_messages(manifest))
        if before != settings.mqtt:
            self.session.reconnect_to(settings.mqtt)
            self.publish_session.reconnect_to(settings.mqtt)

    def on_connected(self) -> None:
        """Hear from the session that it is ready."""
        self._metrics.mqtt_connected.set(1)
        if self._was_connected:
            self._metrics.mqtt_reconnects.inc()
        # A broker that was killed comes back with what it saved last, and says nothing of what it forgot.
        self.retained_lost.set()
        self.wake()
        self._was_connected = True
        mqtt = self._settings.mqtt
        _log.info("connected to %s:%s, subscribed to %s", mqtt.host, mqtt.port, ", ".join(self._filters))

    def on_disconnected(self, reason: str) -> None:
        """Hear from the session why it isn't ready."""
        self._metrics.mqtt_connected.set(0)
        _log.warning("%s; trying again until it works", reason)

    def on_taken_over(self) -> None:
        """Hear from the session that it was taken over: two of one id would throw each other out for ever."""
        self._metrics.mqtt_connected.set(0)
        _log.error(
            "mqtt.client_id: another client connected as %r and took the session over; "
            "expected an id of its own for each client",
            client_id(self._settings),
        )
        self._request_exit(2)

    def on_publish_failed(self) -> None:
        """Hear from either session that nobody gets a message."""
        self._metrics.messages_refused.inc()

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Take messages from the session, and leave the pipeline alone while it works."""
        self._receive_queue.put(messages)
        if read_once:
            self._receive_queue.pause(read_once)

    def on_request(self, request: InboundRequest) -> None:
        """Take a request from the session: it is worked on elsewhere, for this is the network's thread."""
        # The filter `request/#` matches its parent too, which names no request.
        name = f"{request.topic}/".removeprefix(f"{self._base_topic}/request/").removesuffix("/")
        response_topic = (
            request.response_topic
            or f"{self._base_topic}/response/{name[:_MAX_NAME_LENGTH]}".removesuffix("/")
        )
        if request.retained and not request.payload:
            _log.info("%s: nothing is retained there any more", request.topic)
            self.session.acknowledge([request.ack_token])
            return

        def respond(response: bytes) -> None:
            self.session.publish(
                response_topic,
                response,
                properties=replace(JSON_PROPERTIES, correlation_data=request.correlation_data),
            )
            self.session.acknowledge([request.ack_token])

        try:
            self._dispatch(requests.parse_request(name, request.payload, retained=request.retained), respond)
        except requests.RequestRejected as rejection:
            self._request_log.log_rejected(name[:_MAX_NAME_LENGTH], str(rejection))
            respond(requests.response_payload(rejection.transaction, str(rejection)))

    def _dispatch(self, request: requests.Request, respond: Respond) -> None:
        """See that a request is worked on and answered.

        Raises
        ------
        Refusal : too many wait already.
        """
        if not isinstance(request, requests.Reload):
            accepted = self._submit(request, respond)
            self.wake()
            if not accepted:
                raise requests.RequestRejected("too many requests wait; expected fewer at a time", request)
        elif self._reload_lock.acquire(blocking=False):
            threading.Thread(target=self._reload_and_respond, args=(request, respond), name="request").start()
        else:
            raise requests.RequestRejected("a reload is being worked on; expected one at a time", request)

    def _reload_and_respond(self, request: requests.Request, respond: Respond) -> None:
        response = requests.response_payload(request.transaction, self._reload())
        self._reload_lock.release()
        respond(response)

    def _birth_messages(self, manifest: Manifest) -> list[tuple[str, bytes, MessageProperties]]:
        info = info_payload(
            __version__, manifest, self._settings.input.topics, self._started_at, client_id(self._settings),
            self._instance_id,
        )  # fmt: skip
        return [
            (f"{self._base_topic}/status", b"online", TEXT_PROPERTIES),
            (f"{self._base_topic}/info", info, JSON_PROPERTIES),
        ]


def _home_assistant_status_filter(settings: Settings) -> str:
    """Return the filter of what Home Assistant says of itself; "" where nobody wants to know."""
    home_assistant = settings.homeassistant
    return f"{home_assistant.discovery_prefix}/status/#" if home_assistant.discovery else ""
