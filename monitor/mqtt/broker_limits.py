"""What a broker takes: from the settings, the properties of its CONNACK and its reason codes."""

from dataclasses import dataclass, replace
from typing import Self

from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.mqtt_settings import MqttSettings

__all__ = ["DEFAULT_IN_FLIGHT", "BrokerLimits", "PublishRules"]

_DEFAULT_RECEIVE_MAXIMUM = 65_535  # MQTT 5: the broker's Receive Maximum if its CONNACK does not give one
_DEFAULT_MAXIMUM_QOS = 2  # likewise
_LARGEST_PACKET_SIZE = 268_435_455 + 5  # bytes; MQTT's "remaining length" has no more
# Messages in flight where the broker's limit is unknown: with MQTT 3.1.1, which cannot state one, and for
# what paho itself publishes. Mosquitto allows 20; the smallest default seen in a broker is 10.
DEFAULT_IN_FLIGHT = 10
# Messages in flight where the broker allows more. With a broker 50 ms away 200 give 4,000 messages/s, and 10
# only 200. All of them may be delivered twice after a lost connection.
_MAX_IN_FLIGHT = 200
_RETAIN_NOT_SUPPORTED, _QOS_NOT_SUPPORTED = 154, 155  # reason codes of CONNACK and DISCONNECT


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What may be sent on one connection."""

    max_in_flight: int = DEFAULT_IN_FLIGHT
    """QoS 1 messages that may be unconfirmed at a time."""
    max_packet_size: int = _LARGEST_PACKET_SIZE
    """Bytes of a whole packet."""
    max_qos: int = _DEFAULT_MAXIMUM_QOS
    retain: bool = True
    """Whether a message may have the retain flag."""

    @classmethod
    def from_connack(cls, version: MQTTProtocolVersion, connack: Properties | None) -> Self:
        """Return the limits of a connection; MQTT 3.1.1 cannot state any.

        A broker may disconnect a client that exceeds them. Topic Alias Maximum needs no attention, since no
        alias is ever sent, and paho itself adopts Server Keep Alive.
        """
        if version != MQTTProtocolVersion.MQTTv5:
            return cls()
        receive_maximum: int = getattr(connack, "ReceiveMaximum", _DEFAULT_RECEIVE_MAXIMUM)
        return cls(
            # One less than allowed: paho itself publishes the will's message at the end, uncounted here.
            max_in_flight=min(max(receive_maximum - 1, 1), _MAX_IN_FLIGHT),
            max_packet_size=getattr(connack, "MaximumPacketSize", _LARGEST_PACKET_SIZE),
            max_qos=getattr(connack, "MaximumQoS", _DEFAULT_MAXIMUM_QOS),
            retain=bool(getattr(connack, "RetainAvailable", 1)),
        )


@dataclass(frozen=True, slots=True)
class PublishRules:
    """With which QoS and whether retained the client publishes its messages and its will."""

    qos: int
    will_qos: int
    retain: bool

    @classmethod
    def from_settings(cls, settings: MqttSettings) -> Self:
        """Return the rules that the settings give."""
        return cls(settings.publish_qos, min(settings.will_qos, settings.publish_qos), settings.retain)

    def adapted_to(self, reason_code: ReasonCode) -> Self:
        """Return the rules after the broker refused or ended a connection for a reason that names one.

        A CONNACK with such a reason is about the will, a DISCONNECT about a message.
        """
        is_about_will = reason_code.packetType == PacketTypes.CONNACK
        if reason_code.value == _RETAIN_NOT_SUPPORTED:
            return replace(self, retain=False)
        if reason_code.value == _QOS_NOT_SUPPORTED:
            return replace(self, will_qos=0, qos=self.qos if is_about_will else 0)
        return self

    def within(self, limits: BrokerLimits) -> Self:
        """Return the rules on a connection with these limits."""
        return replace(self, qos=min(self.qos, limits.max_qos), retain=self.retain and limits.retain)
