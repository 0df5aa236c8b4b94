"""Payloads of every format, to the sources of every example."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from monitor.config.loading import load_settings
from monitor.ingest.decode_errors import strip_padding
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.service.settings_to_decoder import build_decoder
from tests.chaos.fuzzing.target import FuzzTarget
from tests.conftest import ROOT
from tests.end_to_end.devices.step import Message
from tests.end_to_end.exchanges import EXCHANGES, Exchange
from tests.support.toy_bundle import NAMES

__all__ = ["Target"]

_HEADER_BYTES = 2
_SEED_STEPS = 2
"""What a device sends first, and what it sends when it has sent something before."""
_TEXT_FORMATS = {"json", "records", "senml"}


class Target(FuzzTarget):
    """The decoder of each example; an input's first two bytes are the example and one of its topics."""

    max_input_bytes = 4096
    tokens = ("null", "NaN", "1e309", "-1", "1e12", "2026-01-01T00:00:00Z", "\\ud800", "{}", "[]", "true")

    def __init__(self, _: Path) -> None:
        settings = [
            load_settings(ROOT / "config" / "examples" / f"{exchange.example}.toml") for exchange in EXCHANGES
        ]
        self._decoders = [build_decoder(entry, NAMES) for entry in settings]
        self._is_json = [
            all(source.format in _TEXT_FORMATS for source in entry.input.sources) for entry in settings
        ]
        self._messages = [_first_messages(exchange) for exchange in EXCHANGES]
        self._topics = [
            list(dict.fromkeys(message.topic for message in messages)) for messages in self._messages
        ]
        self._receive_queue = ReceiveQueue()

    def seeds(self) -> Iterator[bytes]:
        """Yield what the devices send."""
        for number, (messages, topics) in enumerate(zip(self._messages, self._topics, strict=True)):
            for message in messages:
                yield bytes([number, topics.index(message.topic)]) + message.payload

    def run(self, data: bytes) -> bool:
        """Decode one message; accepted if it has values or readings."""
        if len(data) < _HEADER_BYTES:
            return False
        number, payload = data[0] % len(EXCHANGES), data[_HEADER_BYTES:]
        topics = self._topics[number]
        count = self._decode(number, topics[data[1] % len(topics)], payload)
        assert not count or not self._is_json[number] or _is_json(payload), "values from what is no JSON"
        return count > 0

    def _decode(self, number: int, topic: str, payload: bytes) -> int:
        """Decode a message, check what it holds, and return how many values and readings that are."""
        self._receive_queue.put([(topic, payload, None, False)])
        batch = self._receive_queue.take(0)
        decoded = self._decoders[number].decode(batch.messages, batch.arrivals)
        readings, values = decoded.readings, decoded.values
        assert np.isfinite(readings.ts).all()
        assert np.isfinite(readings.values.astype(np.float32)).all()
        groups = set(readings.groups)
        if values is not None:
            assert np.isfinite(values.ts).all()
            assert not np.isinf(values.values).any()
            groups.update(values.groups)
        for group in groups:
            assert not set("+#\0") & set(group), f"{group!r} can be part of a topic"
            assert "" not in group.split("/"), f"{group!r} has no empty part"
        for rejection in (*decoded.rejected, *decoded.rejected_values):
            assert rejection.reason, "a rejection has a reason"
        return len(readings.groups) + (0 if values is None else len(values.groups))


def _first_messages(exchange: Exchange) -> list[Message]:
    steps = exchange.steps()
    return [
        message
        for number in range(_SEED_STEPS)
        for message in exchange.device(steps[number], steps[number - 1] if number else None)
    ]


def _is_json(payload: bytes) -> bool:
    try:
        # As the stage does, ignore invalid UTF-8 in fields that no feature uses.
        json.loads(strip_padding(payload).decode(errors="replace"))
    except (ValueError, RecursionError):
        return False
    return True
