"""The client id that the monitor connects with."""

import socket

from monitor.config.settings import Settings

__all__ = ["client_id"]


def client_id(settings: Settings) -> str:
    """Return the id that the daemon has with the broker: the same at each start, so the session stays."""
    topic = settings.mqtt.base_topic.replace("/", "-")  # of several monitors on a machine each has its own
    return settings.mqtt.client_id or f"{topic}-{socket.gethostname()}"
