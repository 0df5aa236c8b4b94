"""A client's session with the broker: a connection that is made anew whenever it breaks."""

import logging
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.settings import Mqtt
from monitor.core.messages import TEXT, About, Listener, Read
from monitor.mqtt import error_messages
from monitor.mqtt.acknowledgements import Receipts
from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.client import LARGEST_QUEUE, V5, V311, build, connect, hand_over, hang_up, in_flight
from monitor.mqtt.packet_parser import Publish
from monitor.mqtt.properties import of_message, of_will
from monitor.mqtt.publish_queue import Sending
from monitor.mqtt.publish_results import Confirmations
from monitor.mqtt.request_message import asked
from monitor.mqtt.subscriptions import Subscriptions
from monitor.mqtt.takeover import outranks
from monitor.mqtt.version_probe import ask_version

__all__ = ["Session"]

_log = logging.getLogger(__name__)

_TAKEN_OVER = 142

Birth = tuple[str, bytes, About]
"""Topic, payload, and what it says of itself."""


class Session:
    """A connection that is made anew whenever it breaks.

    Parameters
    ----------
    settings : the broker and how to log in.
    client_id : distinct for each client of the broker.
    password : None where there is none.
    listener : is told what happens.
    filters : subscriptions, made after every connect.
    former : subscriptions of an earlier session with this id; the broker is told to end those not made again.
    births : published retained after every connect, once the subscriptions are answered.
    claim : topic of the birth that tells this process from others with the same client id. Of two that throw
        each other out the one that began earlier sees the other's there, and leaves. "" where nobody asks.
    requests : filter, ending in `/#`, of messages that are requests and no input; "" where there are none.
    will : (topic, text) published retained: by the broker when this client dies, by `stop` when it leaves.
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
        former: Sequence[str] = (),
        births: Iterable[Birth] = (),
        claim: str = "",
        requests: str = "",
        will: tuple[str, bytes] | None = None,
        durable: bool = False,
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._password = password
        self._listener = listener
        self._subscriptions = Subscriptions(filters, settings.qos, claim, requests, former)
        self._births = tuple(births)
        self._claim = claim
        self._will = will
        self._durable = durable
        self._request_prefix = requests.removesuffix("#")
        self._told = Confirmations(listener.publish_refused)
        self._receipts = Receipts()
        self._peels = settings.bulk and settings.transport == "tcp"
        self._sending = Sending(LARGEST_QUEUE, self._told.add, self._told.refuse)
        self._explained = False  # whether it was said why the connection ends before it does
        self._leaving = False
        self._admissions = 0  # how often the broker took us in
        self._admitted_at = 0.0  # when it last did, monotonic seconds
        self._client = self._build(V311 if settings.version == "3.1.1" else V5)
        self._question = self._client
        self.ready = False
        """Connected, and every subscription granted."""
        self.problem = "not connected yet"
        """Why it isn't ready, for people."""

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """All that it subscribes to: `former` of the session that comes after it."""
        return self._subscriptions.all

    def start(self) -> None:
        """Connect in the background, now or as soon as the broker answers."""
        if self._settings.tls.insecure:
            _log.warning(
                "mqtt.tls.insecure: WHOEVER ANSWERS AT %s IS TRUSTED, its certificate is not verified",
                error_messages.address(self._settings),
            )
        if self._settings.version == "auto":
            self._question = self._build_bare(V5, f"{self._client_id}-version")
            self._ask()
        else:
            connect(self._client, self._settings, durable=self._durable)

    def announce(self, births: Iterable[Birth]) -> None:
        """Publish these births in the place of the former ones: now, and after every connect."""
        self._births = tuple(births)
        if self.ready:
            self._publish_births()

    def move(self, settings: Mqtt) -> None:
        """Go to the broker at another address: now, or with the next attempt to connect."""
        self._settings = settings
        self._fail(f"the connection moves to {error_messages.address(settings)}")
        if self._question.on_disconnect is not None and self._question is not self._client:
            self._ask()
        else:
            connect(self._client, settings, durable=self._durable)
        self._explained = self._client.socket() is not None
        hang_up(self._client)

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1, about: About | None = None
    ) -> int:
        """Hand over a message; return its number, which `delivered` returns once the broker has it.

        What it says `about` itself is lost in MQTT 3.1.1. Where 2000 messages are unconfirmed already it is
        dropped; the log says so, and the listener hears of it as of one that the broker refuses.
        """
        if self._peels and qos == 1:
            number = self._sending.publish(topic, payload, about, retain=retain)
        else:
            number = hand_over(self._client, topic, payload, about, qos=qos, retain=retain)
        if number is None:
            self._listener.publish_refused()
            _log.warning("dropped a message for %r: the broker confirms too few of those before it", topic)
        return number or 0

    def delivered(self) -> list[int]:
        """Return the numbers of the messages that the broker confirmed, or refused, since the last call."""
        return self._told.take()

    def acknowledge(self, receipts: Iterable[object]) -> None:
        """Tell the broker that these messages are dealt with; receipts of another connection lapse."""
        self._receipts.take(receipts, self._client)

    def stop(self, timeout: float) -> None:
        """Publish the will's message last, wait for the broker at most `timeout` seconds, and leave."""
        connected, self._leaving = self.ready, True
        if connected and self._will:
            properties = of_message(TEXT) if self._client.protocol == V5 else None
            self._sending.finish(timeout / 2)  # nothing may follow the farewell
            farewell = self._client.publish(*self._will, qos=1, retain=True, properties=properties)
            if farewell.rc == paho.MQTT_ERR_SUCCESS:
                farewell.wait_for_publish(timeout / 2)
        self._question.disconnect()
        self._client.disconnect()
        if connected:  # otherwise its thread may be deep in an attempt to connect, and ends by itself
            self._client.loop_stop()

    def _build(self, version: MQTTProtocolVersion) -> BulkClient:
        client = self._build_bare(version, self._client_id)
        if self._peels:
            special = (self._claim, self._request_prefix.removesuffix("/"))
            left = tuple(topic.encode() for topic in special if topic)
            client.peel(self._on_publishes, left, self._sending.confirmed)
            if not self._settings.tls.on:
                client.write_at_once()
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._told.on_publish
        client.on_socket_close = self._on_socket_close
        if self._will:
            properties = of_will(TEXT) if version == V5 else None
            client.will_set(*self._will, qos=1, retain=True, properties=properties)
        return client

    def _build_bare(self, version: MQTTProtocolVersion, name: str) -> BulkClient:
        client = build(self._settings, name, self._password, version, durable=self._durable)
        client.on_connect_fail = self._on_connect_fail
        return client

    def _ask(self) -> None:
        ask_version(self._question, self._settings, self._on_version, self._on_silence)

    def _on_version(self, speaks_5: bool) -> None:  # noqa: FBT001, a callback's
        if not speaks_5:
            _log.info("the broker doesn't speak MQTT 5; using 3.1.1")
            self._client = self._build(V311)
        if not self._leaving:
            connect(self._client, self._settings, durable=self._durable)

    def _on_connect(self, _: Any, __: Any, ___: Any, reason: ReasonCode, connack: Any) -> None:
        self._explained = reason.is_failure
        if self._explained:
            self._fail(error_messages.refused(self._settings, reason))
            return
        self._admissions, self._admitted_at = self._admissions + 1, time.monotonic()
        client = self._client
        at_once, properties = in_flight(client.protocol, connack), client.protocol == V5
        self._sending.connected(client.send, client.next_identifier, at_once=at_once, properties=properties)
        self.problem = "waiting for the subscriptions"
        self._subscriptions.ask(client)
        self._look_at_answers()

    def _on_subscribe(self, _: Any, __: Any, number: int, reasons: list[ReasonCode], ___: Any) -> None:
        if not self._leaving:
            self._subscriptions.take(number, reasons)
            self._look_at_answers()

    def _look_at_answers(self) -> None:
        if self._subscriptions.answered and self._subscriptions.problem:
            self._fail(self._subscriptions.problem)
        elif self._subscriptions.answered:
            self._publish_births()
            self.ready, self.problem = True, ""
            self._listener.connected()

    def _publish_births(self) -> None:
        for topic, payload, about in self._births:
            self.publish(topic, payload, retain=True, about=about)

    def _fail(self, problem: str) -> None:
        was_ready, self.ready = self.ready, False
        if was_ready or problem != self.problem:  # said once and not at every attempt
            self.problem = problem
            self._listener.disconnected(problem)

    def _give_up(self) -> None:
        """Leave the client id to another, which would throw us out again and we it."""
        self._leaving = True
        self._client.disconnect()
        self.ready, self.problem = False, "another client has taken over the client id"
        self._listener.taken_over()

    def _on_connect_fail(self, _: Any, __: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this where it catches the error, and doesn't pass it on
        self._fail(error_messages.unreachable(self._settings, error))

    def _on_silence(self) -> None:
        if not self._leaving:
            self._fail(error_messages.mute(self._settings))

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        if self._leaving:
            return
        if reason.value == _TAKEN_OVER:
            self._give_up()
        elif not self._explained:
            lasted = time.monotonic() - self._admitted_at if self._admissions else None
            self._fail(error_messages.broken(self._settings, reason, lasted))
        self._explained = False

    def _on_socket_close(self, _: Any, __: Any, ___: Any) -> None:
        self._receipts.lapse()
        self._sending.disconnected()

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        if self._leaving:
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "\ufffd"  # fits no template, so it is counted as unmatched
        receipt = self._receipts.give(message.mid, message.qos)
        if topic == self._claim:
            self._heed(message)
        elif self._request_prefix and f"{topic}/".startswith(self._request_prefix):
            self._listener.requested(asked(message, topic, receipt))
        else:
            self._listener.received([(topic, bytes(message.payload), receipt, message.dup)], None)

    def _on_publishes(self, publishes: list[Publish], read: Read | None) -> None:
        """Take what went past paho."""
        if not self._leaving:
            self._listener.received(self._receipts.deliveries(publishes), read)

    def _heed(self, message: paho.MQTTMessage) -> None:
        """Give up where a claim says that another began after us; a newcomer always takes over."""
        own = next(payload for topic, payload, _ in self._births if topic == self._claim)
        if self._admissions > 1 and outranks(bytes(message.payload), own):
            self._give_up()
