"""Home Assistant MQTT discovery: each group is a binary sensor that is on while an incident is open."""

import re
from hashlib import sha256

import msgspec

from monitor import __version__
from monitor.core.messages import OutboundMessage

__all__ = ["BIRTH_PAYLOAD", "Discovery"]

BIRTH_PAYLOAD = b"online"
"""Payload that Home Assistant publishes on `<discovery_prefix>/status` after its start."""

# Without a verdict, the template renders "None", which Home Assistant interprets as the state "unknown".
_VALUE_TEMPLATE = (
    "{{ 'ON' if value_json.incident else 'OFF' if value_json.state in ('normal', 'faulty') else 'None' }}"
)
# Characters that Home Assistant does not accept in the object id, which is a level of the discovery topic.
_UNSAFE_CHARACTERS = re.compile(r"[^a-zA-Z0-9_-]+")
_READABLE_LENGTH = 64  # characters of a group's name at the beginning of its object id
_HASH_LENGTH = 16  # hexadecimal digits after the readable part, which make shortened names unique


class Discovery:
    """Builds the messages that add groups to Home Assistant and remove them.

    Parameters
    ----------
    prefix : Home Assistant's `discovery_prefix`.
    base_topic : the monitor's base topic; each base topic is a separate device in Home Assistant.
    """

    def __init__(self, prefix: str, base_topic: str) -> None:
        self._prefix = prefix
        self._base_topic = base_topic
        self._device = {
            "identifiers": [_hashed_id(base_topic)],
            "name": base_topic,
            "model": "sensor-monitor",
            "sw_version": __version__,
        }
        self._origin = {"name": "sensor-monitor", "sw_version": __version__}

    def announce(self, group: str) -> OutboundMessage:
        """Return the retained message that adds a group; no effect if Home Assistant knows the group."""
        content = {
            "name": group,
            "unique_id": self._unique_id(group),
            "device_class": "problem",
            "state_topic": f"{self._base_topic}/state/{group}",
            "value_template": _VALUE_TEMPLATE,
            "json_attributes_topic": f"{self._base_topic}/state/{group}",
            "availability": [{"topic": f"{self._base_topic}/status"}],
            "qos": 1,
            "device": self._device,
            "origin": self._origin,
        }
        return OutboundMessage(
            self._topic(group), msgspec.json.encode(content), retain=True, is_full_topic=True
        )

    def withdraw(self, group: str) -> OutboundMessage:
        """Return the message that removes a group: an empty payload, which deletes the retained message."""
        return OutboundMessage(self._topic(group), b"", retain=True, is_full_topic=True)

    def _topic(self, group: str) -> str:
        return f"{self._prefix}/binary_sensor/{self._unique_id(group)}/config"

    def _unique_id(self, group: str) -> str:
        # The hash includes the base topic, because two monitors may judge groups of the same name. NUL is the
        # separator, because topics can't contain it.
        return _hashed_id(group, f"{self._base_topic}\0{group}")


def _hashed_id(name: str, hash_input: str = "") -> str:
    """Return an id that starts with the readable part of a name and differs for each `hash_input`.

    Parameters
    ----------
    hash_input : the text to hash; "": `name` is hashed.
    """
    digest = sha256((hash_input or name).encode()).hexdigest()[:_HASH_LENGTH]
    return f"{_UNSAFE_CHARACTERS.sub('-', name)[:_READABLE_LENGTH]}-{digest}"
