"""The only module that imports paho: one client's session with the broker."""

import logging
import sys
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from monitor.errors import ConfigurationError
from monitor.listener import Listener
from monitor.settings import Mqtt, Tls

__all__ = ["Session"]

_log = logging.getLogger(__name__)

# Without it brokers stop at 20 unacknowledged messages, and a batch never gets larger.
_RECEIVE_MAXIMUM = 4096
# A weekend and a holiday: how long the broker keeps the session of a monitor that is away, in seconds.
_SESSION_EXPIRY = 4 * 24 * 3600
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1, 30  # seconds between two attempts to connect
_PATIENCE = 10  # seconds until a peer that doesn't answer is given up
_V5, _V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
_UNSUPPORTED_VERSION = 132
_TAKEN_OVER = 142
_LOWEST_FAILURE = 128  # this reason code and all above say no


class Session:
    """A connection that is made anew whenever it breaks.

    Parameters
    ----------
    settings : the broker and how to log in.
    client_id : distinct for each client of the broker.
    password : None where there is none.
    listener : is told what happens.
    filters : subscriptions, made after every connect.
    births : (topic, payload) published retained after every connect.
    will : (topic, payload) published retained: by the broker when this client dies, by `stop` when it leaves.
    durable : whether the broker keeps the session, with what arrives in the meantime.

    Raises
    ------
    ConfigurationError : a certificate or key can't be used.
    """

    def __init__(
        self,
        settings: Mqtt,
        client_id: str,
        password: str | None,
        listener: Listener,
        *,
        filters: Sequence[str] = (),
        births: Iterable[tuple[str, bytes]] = (),
        will: tuple[str, bytes] | None = None,
        durable: bool = False,
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._password = password
        self._listener = listener
        self._filters = filters
        self._births = tuple(births)
        self._will = will
        self._durable = durable
        self._delivered: deque[int] = deque()
        # Guards `_epoch`: an acknowledgement must not slip from one connection into the next.
        self._acknowledging = threading.RLock()
        self._epoch = 0
        self._refused = False
        self._leaving = False
        self._client = self._build(_V311 if settings.version == "3.1.1" else _V5)
        self._question = self._client
        self._pending_subscription: int | None = None
        self._resumed = False
        self.ready = False
        """Connected, and every subscription granted."""
        self.problem = "not connected yet"
        """Why it isn't ready, for people."""

    def start(self) -> None:
        """Connect in the background, now or as soon as the broker answers."""
        if self._settings.version == "auto":
            self._ask_version()
        else:
            self._connect()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> int:
        """Hand over a message; return its number, which `delivered` returns once the broker has it."""
        return self._client.publish(topic, payload, qos=qos, retain=retain).mid

    def delivered(self) -> list[int]:
        """Return the numbers of the messages that the broker confirmed since the last call."""
        return [self._delivered.popleft() for _ in range(len(self._delivered))]

    def acknowledge(self, receipts: Iterable[object]) -> None:
        """Tell the broker that these messages are dealt with; receipts of an earlier connection lapse."""
        with self._acknowledging:
            for receipt in receipts:
                if isinstance(receipt, tuple) and receipt[0] == self._epoch:
                    self._client.ack(receipt[1], receipt[2])

    def stop(self, timeout: float) -> None:
        """Publish the will's message, wait for the broker to have it at most `timeout` seconds, and leave."""
        connected, self._leaving = self.ready, True
        if connected and self._will:
            farewell = self._client.publish(*self._will, qos=1, retain=True)
            if farewell.rc == paho.MQTT_ERR_SUCCESS:
                farewell.wait_for_publish(timeout)
        self._question.disconnect()
        self._client.disconnect()
        if connected:  # otherwise its thread may be deep in an attempt to connect, and ends by itself
            self._client.loop_stop()

    def _build(self, version: MQTTProtocolVersion) -> paho.Client:
        client = self._build_bare(version, self._client_id)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_socket_close = self._on_socket_close
        if self._will:
            client.will_set(*self._will, qos=1, retain=True)
        return client

    def _build_bare(self, version: MQTTProtocolVersion, name: str) -> paho.Client:
        """Return a client that can log in."""
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            clean_session=None if version == _V5 else not self._durable,
            protocol=version,
            manual_ack=True,
        )
        client.on_connect_fail = self._on_connect_fail
        client.reconnect_delay_set(_SHORTEST_PAUSE, _LONGEST_PAUSE)
        if settings.username is not None:
            client.username_pw_set(settings.username, self._password)
        tls = settings.tls
        if tls.enabled or tls.ca_file or tls.certfile:
            _encrypt(client, tls)
        return client

    def _ask_version(self) -> None:
        """Find out which version the broker speaks by a connection for that alone, and then connect.

        It is MQTT 5 without properties, which an old broker reads far enough to refuse: with properties
        some take their length for another field's, and wait for bytes that never come. It has an id of its
        own, because a connection without a session expiry would end the stored session.
        """
        question = self._build_bare(_V5, f"{self._client_id}-version")
        question.on_disconnect = self._on_silence

        def answer(_: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
            question.on_disconnect = None
            question.disconnect()
            if reason.value == _UNSUPPORTED_VERSION:
                _log.info("the broker doesn't speak MQTT 5; using 3.1.1")
                self._client = self._build(_V311)
            self._connect()

        question.on_connect = answer
        self._question = question
        question.connect_async(self._settings.host, self._settings.port, _PATIENCE, clean_start=True)
        question.loop_start()

    def _connect(self) -> None:
        settings, client = self._settings, self._client
        if self._leaving:
            return
        if client.protocol == _V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = _RECEIVE_MAXIMUM
            properties.SessionExpiryInterval = _SESSION_EXPIRY if self._durable else 0
            client.connect_async(
                settings.host,
                settings.port,
                settings.keepalive,
                clean_start=not self._durable,
                properties=properties,
            )
        else:
            client.connect_async(settings.host, settings.port, settings.keepalive)
        client.loop_start()

    def _on_connect(
        self, client: paho.Client, _: Any, flags: paho.ConnectFlags, reason: ReasonCode, __: Any
    ) -> None:
        self._refused = reason.is_failure
        self._resumed = flags.session_present
        if self._refused:
            self._fail(f"the broker refuses the connection: {reason}")
            return
        for topic, payload in self._births:
            client.publish(topic, payload, qos=1, retain=True)
        if not self._filters:
            self._become_ready()
            return
        self.problem = "waiting for the subscriptions"
        topics: list[tuple[str, int]] = [(text, self._settings.qos) for text in self._filters]
        self._pending_subscription = client.subscribe(topics)[1]

    def _on_subscribe(self, _: Any, __: Any, number: int, reasons: list[ReasonCode], ___: Any) -> None:
        if number != self._pending_subscription:
            return
        refused = [
            f"{text}: {reason}"
            for text, reason in zip(self._filters, reasons, strict=True)
            if reason.value >= _LOWEST_FAILURE
        ]
        if refused:
            self._fail(f"the broker refuses the subscription {'; '.join(refused)}")
        else:
            self._become_ready()

    def _become_ready(self) -> None:
        self.ready, self.problem = True, ""
        self._listener.connected(resumed=self._resumed)

    def _fail(self, problem: str) -> None:
        was_ready, self.ready = self.ready, False
        if was_ready or problem != self.problem:  # said once and not at every attempt
            self.problem = problem
            self._listener.disconnected(problem)

    def _on_connect_fail(self, _: Any, __: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this where it catches the error, and doesn't pass it on
        self._fail(f"no connection to {self._address}: {error or 'unknown reason'}")

    def _on_silence(self, *_: Any) -> None:
        if not self._leaving:
            self._fail(f"{self._address} takes the connection and doesn't answer as an MQTT broker does")

    @property
    def _address(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _on_disconnect(self, client: paho.Client, _: Any, __: Any, reason: ReasonCode, ___: Any) -> None:
        if self._leaving:
            return
        if reason.value == _TAKEN_OVER:
            client.disconnect()
            self.ready, self.problem = False, "another client has taken over the client id"
            self._listener.taken_over()
        elif not self._refused:  # else the refusal says more than the end of the connection
            # paho's name for an end without a word; it comes, too, where two clients share an id.
            silent = str(reason) == "Unspecified error"
            why = "without a reason; is the client id used twice?" if silent else str(reason)
            self._fail(f"the connection to {self._address} broke: {why}")

    def _on_socket_close(self, _: Any, __: Any, ___: Any) -> None:
        with self._acknowledging:
            self._epoch += 1

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "\ufffd"  # fits no template, so it is counted as unmatched
        receipt = (self._epoch, message.mid, message.qos) if message.qos else None
        self._listener.received(topic, bytes(message.payload), receipt, redelivered=message.dup)

    def _on_publish(self, _: Any, __: Any, number: int, ___: Any, ____: Any) -> None:
        self._delivered.append(number)


def _encrypt(client: paho.Client, tls: Tls) -> None:
    files = {"ca_file": tls.ca_file, "certfile": tls.certfile, "keyfile": tls.keyfile}
    for name, path in files.items():
        if path is not None and not path.is_file():
            raise ConfigurationError(f"mqtt.tls.{name}: there is no file {path}")
    ca_file, certfile, keyfile = (None if path is None else str(path) for path in files.values())
    try:
        client.tls_set(ca_file, certfile, keyfile)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"mqtt.tls: a certificate or key can't be used: {error}") from error
