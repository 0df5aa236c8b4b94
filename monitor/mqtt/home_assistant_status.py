"""What Home Assistant says of itself on `<discovery_prefix>/status`."""

from monitor.config.settings import Settings
from monitor.core.messages import InboundRequest
from monitor.publish.home_assistant import BIRTH_PAYLOAD

__all__ = ["is_birth", "is_status", "status_filters"]


def status_filters(settings: Settings) -> tuple[str, ...]:
    """Return the filter of Home Assistant's birth and will; () where discovery is off."""
    home_assistant = settings.homeassistant
    return (f"{home_assistant.discovery_prefix}/status/#",) if home_assistant.discovery else ()


def is_status(message: InboundRequest, settings: Settings) -> bool:
    """Return whether a message is Home Assistant's birth or will."""
    return any(f"{message.topic}/".startswith(text.removesuffix("#")) for text in status_filters(settings))


def is_birth(message: InboundRequest) -> bool:
    """Return whether Home Assistant says that it has started."""
    return message.payload == BIRTH_PAYLOAD
