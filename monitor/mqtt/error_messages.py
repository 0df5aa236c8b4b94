"""What is said to people where a connection fails."""

from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.settings import MqttSettings

__all__ = ["broker_address", "connection_failed", "connection_lost", "connection_refused", "no_response"]

_UNSPECIFIED = "Unspecified error"  # paho's name for an end without a word
# Two clients with one id throw each other out as soon as either is back: after a second or two.
_SHORT_CONNECTION_S = 5.0
_LOGIN_ERRORS = {"Not authorized", "Bad user name or password"}
_CERTIFICATE_HINT = "does the broker want a client certificate?"


def broker_address(settings: MqttSettings) -> str:
    """Return where the broker is looked for."""
    return f"{settings.host}:{settings.port}"


def connection_failed(settings: MqttSettings, error: BaseException | None) -> str:
    """Return how to call an attempt that failed."""
    return f"no connection to {broker_address(settings)}: {error or 'unknown reason'}"


def no_response(settings: MqttSettings) -> str:
    """Return how to call a peer that was asked for its version and hung up."""
    hint = f"; {_CERTIFICATE_HINT}" if _is_certificate_missing(settings) else ""
    return f"{broker_address(settings)} takes the connection and doesn't answer as an MQTT broker does{hint}"


def connection_refused(settings: MqttSettings, reason_code: ReasonCode) -> str:
    """Return how to call a broker's refusal to take us in."""
    text = f"the broker at {broker_address(settings)} refuses the connection: {reason_code}"
    if str(reason_code) in _LOGIN_ERRORS:
        given = f"are right for {settings.username!r}" if settings.username else "are set"
        text += f"; expected that mqtt.username and its password {given}"
    return text


def connection_lost(settings: MqttSettings, reason_code: ReasonCode, connected_for_s: float | None) -> str:
    """Return how to call the end of a connection.

    Parameters
    ----------
    connected_for_s : how long ago the broker took us in, in seconds; None if it never did.
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
