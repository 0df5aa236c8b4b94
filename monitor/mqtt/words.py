"""What is said to people where a connection fails."""

from paho.mqtt.reasoncodes import ReasonCode

from monitor.settings import Mqtt

__all__ = ["address", "broken", "mute", "unreachable"]

_UNSPECIFIED = "Unspecified error"  # paho's name for an end without a word
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


def broken(settings: Mqtt, reason: ReasonCode, *, admitted: bool) -> str:
    """Return how to call the end of a connection; `admitted` is whether the broker ever took us in."""
    why = str(reason)
    if why == _UNSPECIFIED:
        missing = not admitted and _certificate_is_missing(settings)
        why = f"without a reason; {_CERTIFICATE if missing else 'is the client id used twice?'}"
    return f"the connection to {address(settings)} broke: {why}"


def _certificate_is_missing(settings: Mqtt) -> bool:
    return settings.tls.on and settings.tls.certfile is None
