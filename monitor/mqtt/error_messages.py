"""Messages for people about a connection that fails."""

import ssl
import time

from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.settings import MqttSettings
from monitor.mqtt.certificate_dates import date_problem

__all__ = [
    "broker_address",
    "connection_failed",
    "connection_lost",
    "connection_refused",
    "connection_replaced",
    "no_response",
]

_UNSPECIFIED = "Unspecified error"  # paho's reason if the peer closed the connection without a DISCONNECT
# Two clients with one client id make the broker disconnect the other at each reconnect: every second or two.
_SHORT_CONNECTION_S = 5.0
_LOGIN_ERRORS = {"Not authorized", "Bad user name or password"}
# OpenSSL's codes for a certificate that is not valid yet, and for one that has expired.
_VERIFY_ERROR_DATES = {9, 10}
_CERTIFICATE_HINT = "does the broker want a client certificate?"


def broker_address(settings: MqttSettings) -> str:
    """Return the broker's host and port."""
    return f"{settings.host}:{settings.port}"


def connection_failed(settings: MqttSettings, error: BaseException | None) -> str:
    """Return the message for a failed attempt to connect."""
    text = f"no connection to {broker_address(settings)}: {error or 'unknown reason'}"
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _VERIFY_ERROR_DATES:
        ca_problem = settings.tls.ca_file and date_problem(settings.tls.ca_file, time.time())
        return (
            f"{text}: mqtt.tls.ca_file {ca_problem}"
            if ca_problem
            else f"{text}: the broker's certificate is not valid now, by this machine's clock"
        )
    own_problem = _own_certificate_problem(settings)
    return f"{text}; {own_problem}" if own_problem else text


def no_response(settings: MqttSettings) -> str:
    """Return the message for a peer that closed the connection of the version probe without a CONNACK."""
    hint = _CERTIFICATE_HINT if _is_certificate_missing(settings) else _own_certificate_problem(settings)
    text = f"{broker_address(settings)} takes the connection and doesn't answer as an MQTT broker does"
    return f"{text}; {hint}" if hint else text


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
        if own_problem := _own_certificate_problem(settings):
            why += f"; {own_problem}"
        elif connected_for_s is None and _is_certificate_missing(settings):
            why += f"; {_CERTIFICATE_HINT}"
        elif connected_for_s is None or connected_for_s < _SHORT_CONNECTION_S:
            why += "; is the client id used twice?"
    return f"the connection to {broker_address(settings)} broke: {why}"


def connection_replaced(before: MqttSettings, after: MqttSettings) -> str:
    """Return the message for a connection that is closed because of a reload."""
    address = broker_address(after)
    if address != broker_address(before):
        return f"the connection moves to {address}"
    return f"the connection to {address} is made again with the new login"


def _own_certificate_problem(settings: MqttSettings) -> str:
    """Return which date makes the client's certificate invalid; "" if it is valid, or if there is none.

    With TLS 1.3 a broker that refuses it only closes the connection.
    """
    certfile = settings.tls.certfile
    problem = date_problem(certfile, time.time()) if certfile else ""
    return f"mqtt.tls.certfile {problem}" if problem else ""


def _is_certificate_missing(settings: MqttSettings) -> bool:
    return settings.tls.is_enabled and settings.tls.certfile is None
