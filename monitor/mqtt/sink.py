"""MQTT as the sink of alerts and states: a session that publishes."""

import logging
from collections.abc import Sequence

from monitor.config.secrets import read_password
from monitor.config.settings import Settings
from monitor.core.messages import InboundMessage, InboundRequest, OutboundMessage, ReadOnce
from monitor.mqtt.client_id import client_id
from monitor.mqtt.session import Session
from monitor.mqtt.session_options import SessionOptions
from monitor.mqtt.source import MqttSource
from monitor.publish.home_assistant import BIRTH_PAYLOAD
from monitor.publish.message_properties import message_properties
from monitor.publish.publisher import RepublishSignals

__all__ = ["MqttSink"]

_log = logging.getLogger(__name__)


class MqttSink:
    """The session by which alerts and states go out, and Home Assistant's birth comes.

    It is a second connection because the broker's confirmations would otherwise wait behind a flood of
    readings, and the alerts with them.

    Parameters
    ----------
    settings : those in use.
    source : the session by which readings come: it reports the problems that both have.
    signals : get set when Home Assistant starts.

    Raises
    ------
    ConfigurationError : a password file, certificate or key can't be used.
    """

    def __init__(self, *, settings: Settings, source: MqttSource, signals: RepublishSignals) -> None:
        self._settings = settings
        self._source = source
        self._signals = signals
        self._base_topic = settings.mqtt.base_topic
        self._session = Session(
            settings.mqtt,
            f"{client_id(settings)}-out",
            read_password(settings.mqtt),
            self,
            SessionOptions(request_filter=_home_assistant_status_filter(settings)),
        )

    @property
    def ready(self) -> bool:
        """Whether messages can be published now."""
        return self._session.ready

    @property
    def problem(self) -> str:
        """Why not, for people; "" if they can."""
        return self._session.problem

    def publish(self, message: OutboundMessage) -> int:
        """Publish a message with QoS 1; return the number that `take_confirmed` returns after its PUBACK."""
        topic = message.topic if message.is_full_topic else f"{self._base_topic}/{message.topic}"
        return self._session.publish(
            topic, message.payload, retain=message.retain, properties=message_properties(message)
        )

    def take_confirmed(self) -> list[int]:
        """Return the numbers of the messages that the broker confirmed, or refused, since the last call."""
        return self._session.take_delivered()

    def start(self) -> None:
        """Connect in the background."""
        self._session.start()

    def stop(self, timeout: float) -> None:
        """Disconnect."""
        self._session.stop(timeout)

    def reconfigure(self, settings: Settings) -> None:
        """Continue with other settings."""
        before, self._settings = self._settings.mqtt, settings
        if (before.host, before.port) != (settings.mqtt.host, settings.mqtt.port):
            self._session.reconnect_to(settings.mqtt)

    # What the session calls, on the network thread

    def on_connected(self) -> None:
        """Let the pipeline publish what waits in the outbox."""
        self._source.wake()

    def on_disconnected(self, reason: str) -> None:
        """Log why there is no connection, unless the source logs the same."""
        if self._source.ready:
            _log.warning("alerts and states wait: %s; trying again until it works", reason)

    def on_taken_over(self) -> None:
        """End the daemon, as when the source's session is taken over."""
        self._source.on_taken_over()

    def on_publish_failed(self) -> None:
        """Count a message that no subscriber gets."""
        self._source.on_publish_failed()

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Ignore messages: there are no subscriptions but Home Assistant's birth."""

    def on_request(self, request: InboundRequest) -> None:
        """Have all groups announced again when Home Assistant starts."""
        self._session.acknowledge([request.ack_token])
        if request.payload == BIRTH_PAYLOAD:
            self._signals.request_announcements()
            self._source.wake()


def _home_assistant_status_filter(settings: Settings) -> str:
    """Return the filter of Home Assistant's birth and will; "" where discovery is off."""
    home_assistant = settings.homeassistant
    return f"{home_assistant.discovery_prefix}/status/#" if home_assistant.discovery else ""
