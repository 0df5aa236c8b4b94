"""MQTT as the sink of alerts and states: a session that publishes."""

from collections.abc import Sequence

from monitor.config.settings import Settings
from monitor.core.messages import InboundMessage, InboundRequest, OutboundMessage, ReadOnce
from monitor.mqtt.client_id import publish_client_id
from monitor.mqtt.connection_status import OUTPUT
from monitor.mqtt.home_assistant_status import status_filters
from monitor.mqtt.session import Session
from monitor.mqtt.session_options import SessionOptions
from monitor.mqtt.source import MqttSource
from monitor.publish.message_properties import message_properties

__all__ = ["MqttSink"]


class MqttSink:
    """The session by which alerts and states go out, and Home Assistant's birth comes.

    It is a second connection because the broker's confirmations would otherwise wait behind a flood of
    readings, and the alerts with them. Where `mqtt.connections` is 1 it is the source's session.

    Parameters
    ----------
    settings : those in use.
    source : the session by which readings come.

    Raises
    ------
    ConfigurationError : a password file, certificate or key can't be used.
    """

    def __init__(self, *, settings: Settings, source: MqttSource) -> None:
        self._settings = settings
        self._source = source
        self._base_topic = settings.mqtt.base_topic
        self._is_shared = settings.mqtt.connections == 1
        self._session = source.session if self._is_shared else self._build_session()

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

    def take_confirmed(self) -> list[tuple[int, float | None]]:
        """Return the numbers of the messages that the broker confirmed, and when; see `Session`."""
        return self._session.take_confirmed()

    def start(self) -> None:
        """Connect in the background."""
        if not self._is_shared:
            self._session.start()

    def stop(self, timeout: float) -> None:
        """Disconnect."""
        if not self._is_shared:
            self._session.stop(timeout)

    def reconfigure(self, settings: Settings) -> None:
        """Continue with other settings."""
        before, self._settings = self._settings.mqtt, settings
        if before != settings.mqtt and not self._is_shared:
            self._session.reconnect_to(settings.mqtt.for_publishing)

    def _build_session(self) -> Session:
        return Session(
            self._settings.mqtt.for_publishing,
            publish_client_id(self._settings),
            self,
            SessionOptions(
                request_filters=status_filters(self._settings),
                follow_version=self._source.session.when_version_is_known,
            ),
        )

    # What the session calls, on the network thread

    def on_connected(self) -> None:
        """Let the pipeline publish what waits in the outbox."""
        self._source.connection_status.on_connected(OUTPUT, "alerts and states go out again")
        self._source.wake()

    def on_disconnected(self, reason: str) -> None:
        """Log why there is no connection, unless the source logs the same."""
        self._source.connection_status.on_disconnected(OUTPUT, reason)

    def on_taken_over(self) -> None:
        """Do nothing: monitors claim the client id of the input."""

    def on_session_taken(self) -> None:
        """Count that another client took the session, as the source does."""
        self._source.on_session_taken()

    def on_session_lost(self) -> None:
        """Do nothing: the broker keeps no session of this connection."""

    def on_publish_failed(self) -> None:
        """Count a message that no subscriber gets."""
        self._source.on_publish_failed()

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Ignore messages: there are no subscriptions but Home Assistant's birth."""

    def on_request(self, request: InboundRequest) -> None:
        """Have all groups announced again when Home Assistant starts."""
        self._source.on_home_assistant_status(request, self._session)
