"""Messages for people about a connection that fails."""

from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.settings import MqttSettings
from monitor.mqtt.reconnect_delays import SHORT_CONNECTION_S

__all__ = ["broker_address", "connection_failed", "connection_lost", "connection_refused", "no_response"]

_UNSPECIFIED = "Unspecified error"  # paho's reason if the peer closed the connection without a DISCONNECT
_LOGIN_ERRORS = {"Not authorized", "Bad user name or password"}
_CERTIFICATE_HINT = "does the broker want a client certificate?"


def broker_address(settings: MqttSettings) -> str:
    """Return the broker's host and port."""
    return f"{settings.host}:{settings.port}"


def connection_failed(settings: MqttSettings, error: BaseException | None) -> str:
    """Return the message for a failed attempt to connect."""
    return f"no connection to {broker_address(settings)}: {error or 'unknown reason'}"


def no_response(settings: MqttSettings, client_id: str) -> str:
    """Return the message for a peer that closed the connection of the version probe without a CONNACK."""
    text = f"{broker_address(settings)} takes the connection and doesn't answer as an MQTT broker does"
    if _is_certificate_missing(settings):
        return f"{text}; {_CERTIFICATE_HINT}"
    return (
        f"{text}; does it admit the client id {client_id!r}, which asks for its version? "
        "With mqtt.version set to 5 or 3.1.1 nothing is asked"
    )


def connection_refused(settings: MqttSettings, client_id: str, reason_code: ReasonCode) -> str:
    """Return the message for a CONNACK that refuses the connection."""
    text = f"the broker at {broker_address(settings)} refuses the connection: {reason_code}"
    if str(reason_code) in _LOGIN_ERRORS:
        given = f"are right for {settings.username!r}" if settings.username else "are set"
        text += f"; expected that mqtt.username and its password {given}, and that {client_id!r} is admitted"
    return text


def connection_lost(
    settings: MqttSettings, client_id: str, reason_code: ReasonCode, connected_for_s: float | None
) -> str:
    """Return the message for a connection that ended.

    Parameters
    ----------
    client_id : of this client.
    connected_for_s : seconds since the broker accepted the connection; None if it did not.
    """
    why = str(reason_code)
    if why == _UNSPECIFIED:
        why = "without a reason"
        if connected_for_s is None and _is_certificate_missing(settings):
            why += f"; {_CERTIFICATE_HINT}"
        elif connected_for_s is None:
            why += (
                f"; does the broker admit the client id {client_id!r}, and a will that is retained "
                "(mqtt.retain) and of QoS 1 (mqtt.will_qos)?"
            )
        elif connected_for_s < SHORT_CONNECTION_S:
            # Of two clients with one id each is disconnected when the other one reconnects.
            why += (
                f"; is the client id {client_id!r} used twice, or doesn't the broker take a subscription or "
                "a message: its size, its topic, its QoS (mqtt.publish_qos), the retain flag (mqtt.retain)?"
            )
    return f"the connection to {broker_address(settings)} broke: {why}"


def _is_certificate_missing(settings: MqttSettings) -> bool:
    return settings.tls.is_enabled and settings.tls.certfile is None
