"""Messages of the short form of `[input]`: any bytes on any topic."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.decode_checker import DecodeChecker
from tests.chaos.fuzzing.target import FuzzTarget
from tests.support.toy_bundle import HEALTHY, NAMES

__all__ = ["Target"]

_DEFAULT_TOPIC = b"plant/line1/station7/reading"


class Target(FuzzTarget):
    """The decode stage; an input is topic, line feed, payload, or a payload on a valid topic."""

    max_input_bytes = 4096  # decode treats all lengths below 1 MiB alike
    tokens = ("ts", *NAMES, "1e309", "-1e308", "NaN", "Infinity", "1.7e12", "2026-01-01T00:00:00Z", "\\ud800")

    def __init__(self, _: Path) -> None:
        self._decoder = DecodeChecker()

    def seeds(self) -> Iterator[bytes]:
        """Yield readings, with a topic and without."""
        reading: dict[str, object] = {"ts": 1000.0}
        reading.update(zip(NAMES, HEALTHY, strict=True))
        for content in (reading, [reading, reading], reading | {"ts": "2026-01-01"}, {}):
            payload = json.dumps(content).encode()
            yield payload
            yield b"g1/data\n" + payload

    def run(self, data: bytes) -> bool:
        """Decode one message; accepted if it has readings."""
        topic, separator, payload = data.partition(b"\n")
        reading_count, _ = self._decoder.check(
            (topic if separator else _DEFAULT_TOPIC).decode(errors="replace"), payload if separator else data
        )
        return reading_count > 0
