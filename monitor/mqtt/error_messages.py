"""What is said to people where a connection fails."""

from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.settings import Mqtt

__all__ = ["address", "broken", "mute", "refused", "unreachable"]

_UNSPECIFIED = "Unspecified error"  # paho's name for an end without a word
# Two clients with one id throw each other out as soon as either is back: after a second or two.
_BRIEF = 5.0
_OF_THE_LOGIN = {"Not authorized", "Bad user name or password"}
_CERTIFICATE = "does the broker want a client certificate?"


def address(settings: Mqtt) -> str:
    """Return where the broker is looked for."""
    return f"{settings.host}:{settings.port}"


def unreachable(settings: Mqtt, error: BaseException | None) -> str:
    """Return how to call an attempt that failed."""
    return f"no connection to {address(settings)}: {error or 'unknown reason'}"


def mute(settings: Mqtt) -> str:
    """Return how to call a peer that was asked for its version and hung up."""
    doubt = f"; {_CERTIFICATE}" if _certificate_is_missing(settings) else ""
    return f"{address(settings)} takes the connection and doesn't answer as an MQTT broker does{doubt}"


def refused(settings: Mqtt, reason: ReasonCode) -> str:
    """Return how to call a broker's refusal to take us in."""
    text = f"the broker at {address(settings)} refuses the connection: {reason}"
    if str(reason) in _OF_THE_LOGIN:
        given = f"are right for {settings.username!r}" if settings.username else "are set"
        text += f"; expected that mqtt.username and its password {given}"
    return text


def broken(settings: Mqtt, reason: ReasonCode, lasted: float | None) -> str:
    """Return how to call the end of a connection.

    Parameters
    ----------
    lasted : how long ago the broker took us in, in seconds; None if it never did.
    """
    why = str(reason)
    if why == _UNSPECIFIED:
        why = "without a reason"
        if lasted is None and _certificate_is_missing(settings):
            why += f"; {_CERTIFICATE}"
        elif lasted is None or lasted < _BRIEF:
            why += "; is the client id used twice?"
    return f"the connection to {address(settings)} broke: {why}"


def _certificate_is_missing(settings: Mqtt) -> bool:
    return settings.tls.on and settings.tls.certfile is None
