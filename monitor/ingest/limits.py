"""Limits of the decode stages."""

__all__ = [
    "MAX_BAD_ELEMENTS",
    "MAX_CACHED_TOPICS",
    "MAX_ELEMENTS",
    "MAX_PAYLOAD_BYTES",
    "MAX_TOPIC_LENGTH",
    "RETAINED_REASON",
]

MAX_PAYLOAD_BYTES = 1 << 20
"""An array of several thousand readings fits. No plant sends larger messages."""
MAX_ELEMENTS = 10_000
"""Readings or records in one message: 14 hours of a station that sends every 5 s. With names of the common
length more don't fit into `MAX_PAYLOAD_BYTES`."""
MAX_BAD_ELEMENTS = 100
"""Elements of one message that can't be read and are dropped one by one: eight minutes of a sensor that was
away. With more the message is refused whole, because each takes 5 µs, and one message may hold 500,000."""
MAX_TOPIC_LENGTH = 1000
"""The group's name becomes part of the monitor's own topics, and MQTT limits a topic to 65,535 bytes."""
MAX_CACHED_TOPICS = 1 << 17
"""`forget` removes the topics of a group that is removed. This limit is for topics whose messages were all
rejected, so that no group was ever added."""
RETAINED_REASON = "retained and without ts: nobody knows when it was measured"
"""Why a retained message without event time is dropped."""
