"""Messages for people about a connection that fails."""

from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.settings import MqttSettings
from monitor.core.addresses import format_address

__all__ = ["broker_address", "connection_failed", "connection_lost", "connection_refused", "no_response"]

_UNSPECIFIED = "Unspecified error"  # paho's reason if the peer closed the connection without a DISCONNECT
# Two clients with one client id make the broker disconnect the other at each reconnect: every second or two.
_SHORT_CONNECTION_S = 5.0
_LOGIN_ERRORS = {"Not authorized", "Bad user name or password"}
_CERTIFICATE_HINT = "does the broker want a client certificate?"


def broker_address(settings: MqttSettings) -> str:
    """Return the broker's host and port."""
    return format_address(settings.host, settings.port)


def connection_failed(settings: MqttSettings, error: BaseException | None) -> str:
    """Return the message for a failed attempt to connect."""
    return f"no connection to {broker_address(settings)}: {error or 'unknown reason'}"


def no_response(settings: MqttSettings) -> str:
    """Return the message for a peer that closed the connection of the version probe without a CONNACK."""
    hint = f"; {_CERTIFICATE_HINT}" if _is_certificate_missing(settings) else ""
    return f"{broker_address(settings)} takes the connection and doesn't answer as an MQTT broker does{hint}"


def connection_refused(settings: MqttSettings, reason_code: ReasonCode) -> str:
    """Return the message for a CONNACK that refuses the connection."""
    text = f"the broker at {broker_address(settings)} refuses the connection: {reason_code}"
    if str(reason_code) in _LOGIN_ERRORS:
        given = f"are right for {settings.username!r}" if settings.username else "are set"
        text += f"; expected that mqtt.username and its password {given}"
    return text


def connection_lost(settings: MqttSettings, reason_code: ReasonCode, connected_for_s: float | None) -> str:
    """Return the message for a connection that ended.

    Parameters
    ----------
    connected_for_s : seconds since the last accepted connection began; None if there was none.
    """
    why = str(reason_code)
    if why == _UNSPECIFIED:
        why = "without a reason"
        if connected_for_s is None and _is_certificate_missing(settings):
            why += f"; {_CERTIFICATE_HINT}"
        elif connected_for_s is None or connected_for_s < _SHORT_CONNECTION_S:
            why += "; is the client id used twice?"
    return f"the connection to {broker_address(settings)} broke: {why}"


def _is_certificate_missing(settings: MqttSettings) -> bool:
    return settings.tls.is_enabled and settings.tls.certfile is None
