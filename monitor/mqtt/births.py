"""The messages that the monitor publishes about itself after every connect."""

import secrets
import time

from monitor import __version__
from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.core.messages import JSON_PROPERTIES, TEXT_PROPERTIES
from monitor.mqtt.client_id import client_id
from monitor.mqtt.session_options import Birth
from monitor.publish.payloads import info_payload

__all__ = ["Births", "info_topic", "will"]


class Births:
    """Encodes `status` and `info` of this process, always with the same start time and instance id."""

    def __init__(self) -> None:
        self._started_at = time.time()
        self._instance_id = secrets.token_hex(8)

    def messages(self, settings: Settings, manifest: Manifest) -> tuple[Birth, ...]:
        """Return `online` and the info of a process with these settings and this bundle."""
        info = info_payload(
            __version__,
            manifest,
            settings.input.all_topics,
            self._started_at,
            client_id(settings),
            self._instance_id,
        )
        return (
            (_status_topic(settings), b"online", TEXT_PROPERTIES),
            (info_topic(settings), info, JSON_PROPERTIES),
        )


def info_topic(settings: Settings) -> str:
    """Return the topic of `info`."""
    return f"{settings.mqtt.base_topic}/info"


def will(settings: Settings) -> tuple[str, bytes]:
    """Return topic and payload of the message that says that the monitor is gone."""
    return _status_topic(settings), b"offline"


def _status_topic(settings: Settings) -> str:
    return f"{settings.mqtt.base_topic}/status"
