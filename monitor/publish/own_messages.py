"""Tells which messages the monitor stores before it publishes them."""

import re

from monitor.core.messages import OutboundMessage
from monitor.core.sparkplug_topics import is_rebirth_topic
from monitor.ingest.sparkplug_session import is_rebirth_payload

__all__ = ["OwnMessages"]


class OwnMessages:
    """The messages that a monitor puts into its outbox: alerts, states, mutes, withdrawals and rebirths.

    Somebody who can write the store must not publish with the monitor's login to other topics: a request
    would be carried out, and `info` would end another monitor.

    Parameters
    ----------
    discovery_prefix : Home Assistant's, also if nothing is announced there any more.
    """

    def __init__(self, discovery_prefix: str) -> None:
        self._is_discovery = re.compile(
            rf"{re.escape(discovery_prefix)}/binary_sensor/[a-zA-Z0-9_-]+/config"
        ).fullmatch

    def include(self, message: OutboundMessage) -> bool:
        """Return whether a monitor with these settings can have stored a message."""
        topic = message.topic
        if not message.is_full_topic:
            return topic.startswith("state/") or topic == "muted" if message.retain else _is_alert(topic)
        if message.retain:  # announcements are never stored
            return not message.payload and self._is_discovery(topic) is not None
        return is_rebirth_topic(topic) and is_rebirth_payload(message.payload)


def _is_alert(topic: str) -> bool:
    return topic.startswith("alerts/")
