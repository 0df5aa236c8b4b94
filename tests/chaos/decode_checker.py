"""Invariants of the decode stage that hold for any topic and any payload."""

import json
from typing import Any

import numpy as np

from monitor.core.readings import Outcome
from monitor.core.topics import OwnTopics, Template
from monitor.ingest.decode import DecodeStage
from monitor.ingest.decode_errors import strip_padding
from monitor.mqtt.receive_queue import ReceiveQueue
from tests.support.toy_bundle import NAMES

__all__ = ["DecodeChecker"]

_TEMPLATES = ("plant/{line}/{station}/reading", "{group}/data")
_OWN_TOPICS = OwnTopics("sensor-monitor")


class DecodeChecker:
    """The decode stage as the daemon builds it, with assertions on its results."""

    def __init__(self) -> None:
        templates = [Template(text) for text in _TEMPLATES]
        self._stage = DecodeStage(templates, NAMES, {}, _OWN_TOPICS)
        self._receive_queue = ReceiveQueue()

    def check(self, topic: str, payload: bytes) -> tuple[int, int]:
        """Decode one message; return the number of readings and the number of rejected elements.

        Raises
        ------
        AssertionError : an element has no outcome or two, or a reading is invalid.
        """
        self._receive_queue.put([(topic, payload, None, False)])
        message_batch = self._receive_queue.take(0)
        decoded = self._stage.decode(message_batch.messages, message_batch.arrivals)
        readings, rejections = decoded.readings, decoded.rejected
        count = len(readings.groups)
        if topic in _OWN_TOPICS:
            assert not count, "what the monitor publishes is no reading"
            assert not rejections, "what the monitor publishes is no error"
            return 0, 0
        assert count + len(rejections) == _count_elements(payload) if count else rejections, (
            "each element has one outcome"
        )
        assert readings.values.shape == (count, len(NAMES))
        assert np.isfinite(readings.values.astype(np.float32)).all()
        assert np.isfinite(readings.ts).all()
        assert (readings.ts >= 0).all()
        for group in readings.groups:
            assert group, "a group has a name"
            assert not set("+#\0") & set(group), f"{group!r} can be part of a topic"
        for rejection in rejections:
            assert rejection.outcome in {Outcome.MALFORMED, Outcome.UNMATCHED}, rejection
            assert rejection.reason, "a rejection has a reason"
        return count, len(rejections)


def _count_elements(payload: bytes) -> int:
    """Return how many elements a readable payload has: the length of an array, else 1."""
    # As the stage does, ignore invalid UTF-8 in fields that no feature uses.
    content: Any = json.loads(strip_padding(payload).decode(errors="replace"))
    return len(content) if isinstance(content, list) else 1
