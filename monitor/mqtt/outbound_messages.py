"""What a session publishes, within what the broker takes: messages, their confirmations, and the will."""

import logging
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.mqtt_settings import MqttSettings
from monitor.core.messages import TEXT_PROPERTIES, MessageProperties
from monitor.mqtt.broker_limits import BrokerLimits, PublishRules
from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.client import MAX_QUEUED, V5, MqttClient, publish_with_paho, warn_once
from monitor.mqtt.disconnect_causes import blame
from monitor.mqtt.properties import encode_properties, publish_properties, will_properties
from monitor.mqtt.publish_queue import PublishQueue, packet_size
from monitor.mqtt.publish_results import PublishResults
from monitor.mqtt.refused_kinds import MAX_ATTEMPTS

__all__ = ["OutboundMessages"]

_log = logging.getLogger(__name__)

_NO_RETAIN = (
    "the broker doesn't retain messages: status, info and states reach only who is subscribed when they are "
    "published; mqtt.retain = false says that this is expected"
)
_NO_QOS_1 = (
    "the broker takes QoS 0 only: a message that is under way when the connection breaks is lost; "
    "mqtt.publish_qos = 0 says that this is expected"
)


class OutboundMessages:
    """Publishes for a session, on each of its connections.

    Parameters
    ----------
    settings : QoS and retain flag.
    will : (topic, payload) of the will; None for none.
    on_failed : called for each message that nobody gets, on any thread.
    """

    def __init__(
        self, settings: MqttSettings, will: tuple[str, bytes] | None, on_failed: Callable[[], None]
    ) -> None:
        self._will = will
        self._on_failed = on_failed
        # What the settings allow, and less where the broker has said that it takes less.
        self._rules = self._connection_rules = PublishRules.from_settings(settings)
        self._limits = BrokerLimits()
        self._results = PublishResults(on_failed)
        self._queue = PublishQueue(
            MAX_QUEUED, self._results.add, self._results.add_refused, self._results.add_set_aside
        )

    @property
    def max_packet_size(self) -> int:
        """Bytes of the largest packet that the broker takes."""
        return self._limits.max_packet_size

    def attach(self, client: MqttClient) -> None:
        """Make a client, not connected yet, report confirmations here and send the will."""
        client.on_publish = self._results.on_publish
        if isinstance(client, BulkClient):
            client.intercept_pubacks(self._queue.on_puback)
        self._set_will(client)

    def on_connected(self, client: MqttClient, connack: Any) -> None:
        """Use a new connection; send again what no earlier connection confirmed."""
        self._limits = BrokerLimits.from_connack(client.protocol, connack)
        self._use_rules(self._rules.within(self._limits))
        if isinstance(client, BulkClient):
            self._queue.on_connected(
                client.send,
                client.next_packet_id,
                self._limits,
                has_properties=client.protocol == V5,
                qos=self._connection_rules.qos,
                retain=self._connection_rules.retain,
                backlog=client.unwritten_packets,
            )

    def on_socket_close(self) -> None:
        """Send nothing until the next connection."""
        self._queue.on_disconnected()

    def on_connection_ended(self, client: MqttClient, reason_code: ReasonCode) -> bool:
        """Learn from the reason for which the broker refused or ended a connection what it does not take.

        Returns whether a message was set aside that had caused it.
        """
        before, self._rules = self._rules, self._rules.adapted_to(reason_code)
        if before != self._rules:
            self._use_rules(self._rules)
            self._set_will(client)
        return self._queue.on_connection_ended(blame(reason_code))

    def publish(
        self,
        client: MqttClient,
        topic: str,
        payload: bytes,
        properties: MessageProperties | None,
        *,
        qos: int,
        retain: bool,
        attempts: int = MAX_ATTEMPTS,
    ) -> int | None:
        """Queue a message; return its id, None if the queue is full.

        Parameters
        ----------
        attempts : connections that it may bring down before it is set aside.
        """
        if qos == 1 and isinstance(client, BulkClient):
            return self._queue.publish(topic, payload, properties, retain=retain, attempts=attempts)
        encoded_properties = encode_properties(properties) if client.protocol == V5 else b""
        size = packet_size(len(topic.encode()), len(encoded_properties), len(payload), qos)
        if size > self._limits.max_packet_size:
            message_id = self._queue.next_message_id()
            limit = self._limits.max_packet_size
            why = f"its packet has {size} bytes, and the broker takes {limit}"
            self._results.add_set_aside(message_id, topic, why)
            return message_id
        rules = self._connection_rules
        qos, retain = min(qos, self._limits.max_qos, max(qos - 1, rules.qos)), retain and rules.retain
        return publish_with_paho(client, topic, payload, properties, qos=qos, retain=retain)

    def publish_birth(
        self, client: MqttClient, topic: str, payload: bytes, properties: MessageProperties
    ) -> int | None:
        """Queue a retained message unless the same one is unconfirmed; return None if the queue is full."""
        if self._queue.contains(topic, payload):
            return 0
        return self.publish(client, topic, payload, properties, qos=1, retain=True)

    def publish_will(self, client: MqttClient, timeout: float) -> None:
        """Publish the will's message as the last one; wait at most `timeout` seconds for confirmations."""
        if self._will is None:
            return
        self._queue.finish(timeout / 2)  # no message may follow the will's
        rules = self._connection_rules
        properties = publish_properties(TEXT_PROPERTIES) if client.protocol == V5 else None
        message = client.publish(*self._will, qos=rules.qos, retain=rules.retain, properties=properties)
        if message.rc == paho.MQTT_ERR_SUCCESS:
            message.wait_for_publish(timeout / 2)

    def take_delivered(self) -> list[tuple[int, float | None]]:
        """Return the messages that are done since the last call; see `PublishResults.drain`."""
        self._queue.continue_sending()
        return self._results.drain()

    def _set_will(self, client: MqttClient) -> None:
        if self._will is not None:
            properties = will_properties(TEXT_PROPERTIES) if client.protocol == V5 else None
            client.will_set(
                *self._will, qos=self._rules.will_qos, retain=self._rules.retain, properties=properties
            )

    def _use_rules(self, rules: PublishRules) -> None:
        if self._connection_rules.retain and not rules.retain:
            warn_once(_NO_RETAIN)
        if self._connection_rules.qos and not rules.qos:
            warn_once(_NO_QOS_1)
        self._connection_rules = rules
