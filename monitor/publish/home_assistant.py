"""How Home Assistant finds each group by itself: a binary sensor that is on while an incident is open."""

import re
from hashlib import sha256

import msgspec

from monitor import __version__
from monitor.core.messages import OutboundMessage

__all__ = ["BIRTH_PAYLOAD", "Discovery"]

BIRTH_PAYLOAD = b"online"
"""What Home Assistant says on `<discovery_prefix>/status` when it has begun."""

# As long as no verdict stands the sensor is unknown, which Home Assistant reads from the word None.
_VALUE_TEMPLATE = (
    "{{ 'ON' if value_json.incident else 'OFF' if value_json.state in ('normal', 'faulty') else 'None' }}"
)
# Home Assistant takes nothing else in this part of the topic.
_UNSAFE_CHARACTERS = re.compile(r"[^a-zA-Z0-9_-]+")
_READABLE_LENGTH = 64  # characters of a group's name that its object id keeps
_HASH_LENGTH = 16  # hexadecimal digits, so that names which look alike there stay apart


class Discovery:
    """Announces groups and takes them back.

    Parameters
    ----------
    prefix : Home Assistant's `discovery_prefix`.
    base_topic : the monitor's, which tells it from others.
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
        """Return the message that makes a group known, or says again what is known."""
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
        """Return the message that removes a group."""
        return OutboundMessage(self._topic(group), b"", retain=True, is_full_topic=True)

    def _topic(self, group: str) -> str:
        return f"{self._prefix}/binary_sensor/{self._unique_id(group)}/config"

    def _unique_id(self, group: str) -> str:
        # Of both: two monitors may judge groups of one name. No topic has a NUL in it.
        return _hashed_id(group, f"{self._base_topic}\0{group}")


def _hashed_id(name: str, hash_input: str = "") -> str:
    """Return an id that begins like a name and is another for each `hash_input`."""
    digest = sha256((hash_input or name).encode()).hexdigest()[:_HASH_LENGTH]
    return f"{_UNSAFE_CHARACTERS.sub('-', name)[:_READABLE_LENGTH]}-{digest}"
