"""A client's session with the broker: one connection at a time, reconnected whenever it breaks."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.mqtt_settings import MqttSettings
from monitor.core.messages import MessageProperties, ReadOnce, SessionListener
from monitor.mqtt import error_messages
from monitor.mqtt.acknowledgements import Acknowledgements
from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.client import (
    V5,
    V311,
    MqttClient,
    break_connection,
    build,
    connect,
)
from monitor.mqtt.credentials import Credentials
from monitor.mqtt.inbound_messages import InboundMessages, readable_topic
from monitor.mqtt.outbound_messages import OutboundMessages
from monitor.mqtt.packet_parser import PublishPacket
from monitor.mqtt.reconnect_delays import ReconnectDelays
from monitor.mqtt.refused_kinds import MAX_ATTEMPTS
from monitor.mqtt.session_options import Birth, SessionOptions
from monitor.mqtt.subscriptions import Subscriptions
from monitor.mqtt.takeover import is_newer_instance
from monitor.mqtt.version_probe import probe_version

__all__ = ["Session"]

_log = logging.getLogger(__name__)


class Session:
    """An MQTT session that reconnects whenever its connection breaks.

    Parameters
    ----------
    settings : the broker and how to log in.
    client_id : MQTT client id; must be unique at the broker.
    listener : receives the session's events (connected, disconnected, messages, ...).
    options : subscriptions, birth messages (retained, published after every connect) and will.

    Raises
    ------
    ConfigurationError : a password file, certificate or key can't be used. Later that is a failed attempt to
        connect, for these files are read before each.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        listener: SessionListener,
        options: SessionOptions = SessionOptions(),  # noqa: B008, it is frozen
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._credentials = Credentials(settings)
        # A broker that takes logins for client ids would end the stored session for the probe.
        self._probe_credentials = Credentials(settings.for_publishing)
        self._probe_id = options.probe_client_id or f"{client_id}-version"
        self._follow_version = options.follow_version
        self._listener = listener
        self._subscriptions = Subscriptions(
            options.filters,
            settings.qos,
            options.takeover_topic,
            options.request_filters,
            options.previous_filters,
        )
        self._births = options.births
        self._takeover_topic = options.takeover_topic
        self._durable = options.durable
        self._packet_limit = options.limit
        self._outbound = OutboundMessages(settings, options.will, listener.on_publish_failed)
        self._reconnect_delays = ReconnectDelays()
        self._acknowledgements = Acknowledgements()
        self._inbound = InboundMessages(
            listener,
            self._acknowledgements,
            options.request_filters,
            options.on_requests_dropped,
            options.limit,
        )
        self._limits_requests = options.on_requests_dropped is not None
        # In bulk mode, messages of QoS 0 and 1 bypass paho's per-message processing.
        self._bulk_requested = settings.bulk and settings.transport == "tcp"
        # Whether the cause of the coming disconnect has already been reported, so `_on_disconnect` does not
        # report it again.
        self._reason_reported = False
        self._stopping = False
        self._connect_count = 0  # connections that the broker accepted
        # Whether the broker should have a session, from this process or the one before.
        self._expects_session = options.durable and bool(options.previous_filters)
        self._connected_at: float | None = None  # start of the present connection, monotonic seconds
        self._client = self._build_client(V311 if settings.version == "3.1.1" else V5)
        self._probe_client = self._client
        self._supports_v5: bool | None = None if settings.version == "auto" else settings.version == "5"
        self._version_followers: list[Callable[[bool], None]] = []
        self._version_lock = threading.Lock()  # guards `_supports_v5` and `_version_followers`
        self.ready = False
        """Whether the session is connected and every required subscription is granted."""
        self.problem = "not connected yet"
        """Human-readable reason why the session is not ready; "" if ready."""

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """All topic filters of this session.

        Pass them as `previous_filters` to the next session, which unsubscribes from the obsolete ones.
        """
        return self._subscriptions.all_filters

    def start(self) -> None:
        """Connect in the background, and retry until the broker answers."""
        if self._settings.tls.insecure:
            _log.warning(
                "mqtt.tls.insecure: the certificate of %s is NOT VERIFIED; "
                "any server at this address is trusted",
                error_messages.broker_address(self._settings),
            )
        if self._settings.version == "auto" and self._follow_version is not None:
            self._follow_version(self._on_version_probed)
        elif self._settings.version == "auto":
            self._probe_client = self._build_base_client(V5, self._probe_id, self._probe_credentials)
            self._probe_version()
        else:
            connect(self._client, self._settings, durable=self._durable)

    def when_version_is_known(self, callback: Callable[[bool], None]) -> None:
        """Call back with whether the broker speaks MQTT 5: now, or on the network thread once it is known."""
        with self._version_lock:
            supports_v5 = self._supports_v5
            if supports_v5 is None:
                self._version_followers.append(callback)
        if supports_v5 is not None:
            callback(supports_v5)

    def update_births(self, births: Iterable[Birth]) -> None:
        """Replace the birth messages; publish the new ones now if ready, and after every connect."""
        self._births = tuple(births)
        if self.ready:
            self._publish_births()

    def reconnect_to(self, settings: MqttSettings) -> None:
        """Switch to another broker address or login.

        An existing connection is closed and replaced; otherwise the next attempt uses the new settings.
        """
        problem = error_messages.connection_replaced(self._settings, settings)
        if (self._settings.host, self._settings.port) != (settings.host, settings.port):
            self._expects_session = False
        self._settings = self._credentials.settings = settings
        self._probe_credentials.settings = settings.for_publishing
        self._set_problem(problem)
        if self._supports_v5 is not None:
            connect(self._client, settings, durable=self._durable)
        elif self._follow_version is None:
            self._probe_version()
        self._reason_reported = self._client.socket() is not None
        break_connection(self._client)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        qos: int = 1,
        properties: MessageProperties | None = None,
        attempts: int = MAX_ATTEMPTS,
    ) -> int:
        """Queue a message and return its id; return 0 if the message is dropped.

        `take_delivered` returns the id once the message is confirmed, refused or set aside (given up,
        because the broker cannot take it). If MAX_QUEUED messages are still unconfirmed, the message is
        dropped. A dropped, refused or set-aside message is logged and reported to `on_publish_failed`.

        The QoS is lowered, or the retain flag omitted, where settings or broker require it. MQTT 3.1.1 cannot
        send `properties`.

        Parameters
        ----------
        attempts : connections that the message may bring down before it is set aside.
        """
        message_id = self._outbound.publish(
            self._client, topic, payload, properties, qos=qos, retain=retain, attempts=attempts
        )
        return self._check_queued(topic, message_id)

    def take_delivered(self) -> list[int]:
        """Return the ids of the messages that were confirmed, refused or set aside since the last call."""
        return [message_id for message_id, _ in self.take_confirmed()]

    def take_confirmed(self) -> list[tuple[int, float | None]]:
        """Return what `take_delivered` returns, each id with the time of its confirmation.

        In monotonic seconds; None if the message was refused or set aside.
        """
        return self._outbound.take_delivered()

    def acknowledge(self, ack_tokens: Iterable[object]) -> None:
        """Acknowledge the messages of these tokens; tokens of another connection have no effect."""
        self._acknowledgements.acknowledge(ack_tokens, self._client)

    def stop(self, timeout: float) -> None:
        """Publish the last-will message as the final message, then disconnect.

        Waits at most `timeout` seconds for the broker's confirmations.
        """
        was_ready, self._stopping = self.ready, True
        if was_ready:
            self._outbound.publish_will(self._client, timeout)
        self._probe_client.disconnect()
        self._client.disconnect()
        # If not ready, paho's thread may be blocked in a connection attempt; do not wait, it ends by itself.
        if was_ready:
            self._client.loop_stop()

    def _build_client(self, version: MQTTProtocolVersion) -> MqttClient:
        client = self._build_base_client(version, self._client_id, self._credentials)
        if self._bulk_requested and isinstance(client, BulkClient):
            # Paho processes messages on these topics, because only `_on_message` handles them.
            request_prefixes = self._inbound.request_prefixes
            topics = (self._takeover_topic, *(prefix.removesuffix("/") for prefix in request_prefixes))
            paho_topic_prefixes = tuple(topic.encode() for topic in topics if topic)
            client.intercept(self._on_publishes, paho_topic_prefixes, self._packet_limit)
            if self._limits_requests:
                limited_prefixes = tuple(prefix.encode() for prefix in request_prefixes)
                client.limit(limited_prefixes, self._inbound.admit_request, self._on_excess_requests)
            # Not with TLS, because only one thread at a time may use a TLS socket.
            if not self._settings.tls.is_enabled:
                client.enable_direct_write()
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_close = self._on_socket_close
        self._outbound.attach(client)
        return client

    def _build_base_client(
        self, version: MQTTProtocolVersion, client_id: str, credentials: Credentials
    ) -> MqttClient:
        client = build(self._settings, client_id, credentials, version, durable=self._durable)
        client.on_connect_fail = self._on_connect_fail
        self._reconnect_delays.apply(client)
        return client

    def _probe_version(self) -> None:
        probe_version(self._probe_client, self._settings, self._on_version_probed, self._on_probe_timeout)

    def _on_version_probed(self, supports_v5: bool) -> None:  # noqa: FBT001, called with a positional argument
        if not supports_v5:
            if self._follow_version is None:
                _log.info("the broker doesn't speak MQTT 5; using 3.1.1")
            self._client = self._build_client(V311)
        with self._version_lock:
            self._supports_v5 = supports_v5
            followers, self._version_followers = self._version_followers, []
        if not self._stopping:
            connect(self._client, self._settings, durable=self._durable)
        for follow in followers:
            follow(supports_v5)

    def _on_connect(
        self, _client: Any, _userdata: Any, flags: Any, reason_code: ReasonCode, connack: Any
    ) -> None:
        self._reason_reported = reason_code.is_failure
        if self._reason_reported:
            self._outbound.on_connection_ended(self._client, reason_code)
            self._set_problem(error_messages.connection_refused(self._settings, self._client_id, reason_code))
            return
        self._connect_count, self._connected_at = self._connect_count + 1, time.monotonic()
        if self._packet_limit is not None:
            self._packet_limit.expect_backlog()
        if self._expects_session and not flags.session_present:
            self._listener.on_session_lost()
        self._expects_session = self._durable
        client = self._client
        self._outbound.on_connected(client, connack)
        self.problem = "waiting for the broker to confirm the subscriptions"
        self._subscriptions.subscribe(client, self._outbound.max_packet_size)
        self._update_readiness()

    def _on_subscribe(
        self, _client: Any, _userdata: Any, mid: int, reason_codes: list[ReasonCode], _properties: Any
    ) -> None:
        if not self._stopping:
            self._subscriptions.on_suback(mid, reason_codes)
            self._update_readiness()

    def _update_readiness(self) -> None:
        if self._subscriptions.all_acknowledged and self._subscriptions.problem:
            self._set_problem(self._subscriptions.problem)
        elif self._subscriptions.all_acknowledged:
            self._publish_births()
            self.ready, self.problem = True, ""
            self._listener.on_connected()

    def _publish_births(self) -> None:
        for topic, payload, properties in self._births:
            message_id = self._outbound.publish_birth(self._client, topic, payload, properties)
            self._check_queued(topic, message_id)

    def _check_queued(self, topic: str, message_id: int | None) -> int:
        if message_id is None:
            self._listener.on_publish_failed()
            _log.warning(
                "dropped a message for %r: too many messages wait for the broker's confirmation", topic
            )
        return message_id or 0

    def _set_problem(self, problem: str) -> None:
        was_ready, self.ready = self.ready, False
        # Report a problem only when it changes, not after each failed attempt.
        if was_ready or problem != self.problem:
            self.problem = problem
            self._listener.on_disconnected(problem)

    def _stop_after_takeover(self) -> None:
        """Stop because a newer monitor claims the client id.

        If both reconnected, the broker would disconnect them in turn forever.
        """
        self._stopping = True
        self._client.disconnect()
        self.ready, self.problem = False, "a newer monitor has taken over the client id"
        self._listener.on_taken_over()

    def _on_connect_fail(self, _client: Any, _userdata: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this in its `except` block and does not pass the error
        self._set_problem(error_messages.connection_failed(self._settings, error))

    def _on_probe_timeout(self) -> None:
        if not self._stopping:
            self._set_problem(error_messages.no_response(self._settings, self._probe_id))

    def _on_disconnect(
        self, _client: Any, _userdata: Any, _flags: Any, reason_code: ReasonCode, _properties: Any
    ) -> None:
        if self._stopping:
            return
        if not self._reason_reported:
            connected_for_s = None
            is_takeover = reason_code.value == error_messages.SESSION_TAKEN_OVER
            if is_takeover:  # by a monitor, whose claim comes after the next connect, or by anybody else
                self._listener.on_session_taken()
            receive_problem = self._client.receive_problem
            cause_removed = not receive_problem and self._outbound.on_connection_ended(
                self._client, reason_code
            )
            if self._connected_at is not None:
                connected_for_s = time.monotonic() - self._connected_at
                self._reconnect_delays.record_end(
                    self._client, connected_for_s, cause_removed=cause_removed, is_takeover=is_takeover
                )
            self._set_problem(
                error_messages.connection_closed(self._settings, receive_problem)
                if receive_problem
                else error_messages.connection_lost(
                    self._settings, self._client_id, reason_code, connected_for_s
                )
            )
        self._reason_reported, self._connected_at = False, None

    def _on_socket_close(self, _client: Any, _userdata: Any, _socket: Any) -> None:
        self._acknowledgements.invalidate()
        self._outbound.on_socket_close()

    def _on_message(self, client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        if self._stopping:
            return
        if self._takeover_topic and readable_topic(message) == self._takeover_topic:
            self._check_takeover(message)
        else:
            self._inbound.on_message(client, message, is_unreadable=client.has_unreadable_properties)

    def _on_excess_requests(self, packet_ids: list[int]) -> None:
        self._inbound.on_excess_requests(self._client, packet_ids)

    def _on_publishes(self, packets: list[PublishPacket], read_once: ReadOnce | None) -> None:
        if not self._stopping:
            self._inbound.on_publishes(packets, read_once)

    def _check_takeover(self, message: paho.MQTTMessage) -> None:
        """Stop if the message is the birth message of an instance that started after this one.

        Ignored on the first connection, because a newly started instance always takes over.
        """
        own = next(payload for topic, payload, _ in self._births if topic == self._takeover_topic)
        now = datetime.now(UTC)
        if self._connect_count > 1 and is_newer_instance(bytes(message.payload), own, now):
            self._stop_after_takeover()
