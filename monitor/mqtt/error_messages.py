"""Messages for people about a connection that fails."""

import ssl
import time

from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.mqtt_settings import MqttSettings
from monitor.core.addresses import format_address
from monitor.mqtt.certificate_dates import date_problem
from monitor.mqtt.reconnect_delays import SHORT_CONNECTION_S

__all__ = [
    "SESSION_TAKEN_OVER",
    "broker_address",
    "connection_closed",
    "connection_failed",
    "connection_lost",
    "connection_refused",
    "connection_replaced",
    "no_response",
    "session_taken",
]

SESSION_TAKEN_OVER = 142
"""Reason code of a DISCONNECT in MQTT 5: another client connected with the same client id."""

_UNSPECIFIED = "Unspecified error"  # paho's reason if the peer closed the connection without a DISCONNECT
_LOGIN_ERRORS = {"Not authorized", "Bad user name or password"}
# OpenSSL's codes for a certificate that is not valid yet, and for one that has expired.
_VERIFY_ERROR_DATES = {9, 10}
_CERTIFICATE_HINT = "does the broker want a client certificate?"


def broker_address(settings: MqttSettings) -> str:
    """Return the broker's host and port."""
    return format_address(settings.host, settings.port)


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


def no_response(settings: MqttSettings, client_id: str) -> str:
    """Return the message for a peer that closed the connection of the version probe without a CONNACK."""
    text = f"{broker_address(settings)} takes the connection and doesn't answer as an MQTT broker does"
    if _is_certificate_missing(settings):
        return f"{text}; {_CERTIFICATE_HINT}"
    if own_problem := _own_certificate_problem(settings):
        return f"{text}; {own_problem}"
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
    if reason_code.value == SESSION_TAKEN_OVER:
        return session_taken(settings, client_id)
    why = str(reason_code)
    if why == _UNSPECIFIED:
        why = "without a reason"
        if own_problem := _own_certificate_problem(settings):
            why += f"; {own_problem}"
        elif connected_for_s is None and _is_certificate_missing(settings):
            why += f"; {_CERTIFICATE_HINT}"
        elif connected_for_s is None:
            why += (
                f"; does the broker admit the client id {client_id!r}, and a will that is retained "
                "(mqtt.retain) and of QoS 1 (mqtt.will_qos)?"
            )
        elif connected_for_s < SHORT_CONNECTION_S:
            # Of two clients with one id each is disconnected when the other one reconnects.
            why += (
                f"; is the client id {client_id!r} used twice, as by a broker that takes logins for client "
                "ids (mqtt.publish_username), or doesn't the broker take a subscription or a message: its "
                "size, its topic, its QoS (mqtt.publish_qos), the retain flag (mqtt.retain)?"
            )
    return f"the connection to {broker_address(settings)} broke: {why}"


def connection_closed(settings: MqttSettings, problem: str) -> str:
    """Return the message for a connection that this side closed because of what the broker sent."""
    return f"the connection to {broker_address(settings)} was closed: {problem}"


def session_taken(settings: MqttSettings, client_id: str) -> str:
    """Return the message for a connection that the broker ended for another client with the same id."""
    return (
        f"another client connected to {broker_address(settings)} as {client_id!r} and took the session; "
        "expected that the broker admits this client id by the monitor's login alone, and, where it takes "
        "logins for client ids, that mqtt.publish_username is set"
    )


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
