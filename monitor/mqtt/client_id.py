"""The client ids that the monitor connects with."""

import socket

from monitor.config.settings import Settings

__all__ = ["client_id", "probe_client_id", "publish_client_id"]


def client_id(settings: Settings) -> str:
    """Return the daemon's client id. It is the same at each start, so the broker's session is found again."""
    base_topic = settings.mqtt.base_topic.replace("/", "-")  # distinct for several monitors on one machine
    return settings.mqtt.client_id or f"{base_topic}-{socket.gethostname()}"


def publish_client_id(settings: Settings) -> str:
    """Return the client id of the connection that alerts and states go out by."""
    return settings.mqtt.publish_client_id or f"{client_id(settings)}-out"


def probe_client_id(settings: Settings) -> str:
    """Return the client id of the connection that finds out the broker's version."""
    return settings.mqtt.probe_client_id or f"{client_id(settings)}-version"
