"""Requests of operators: any payload on any request's topic, to a pipeline with groups and incidents."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path

from monitor.operators.requests import RequestRejected, parse_request, response_payload
from tests.chaos.fuzzing.target import FuzzTarget
from tests.monitor.operators.operator_pipeline import OperatorHarness
from tests.support.toy_bundle import FAULTY, HEALTHY, save_toy_bundle

__all__ = ["Target"]

_NAMES = ("acknowledge", "silence", "false-alarm", "forget", "reload", "unknown")
_GROUPS = ("a", "b", "line1/station7", "x" * 100)
_NEW_PLANT_EVERY = 1000
"""Requests after which the groups are there again that were forgotten, and no longer muted."""


class Target(FuzzTarget):
    """One request; an input's first byte is its name, and whether it is retained."""

    max_input_bytes = 4200  # a request may have 4,096
    tokens = (
        '"group":',
        '"incident":',
        '"minutes":',
        '"transaction":',
        "*",
        "?",
        "line1/*",
        "a:1700000",
        "null",
    )

    def __init__(self, folder: Path) -> None:
        self._folder, self._bundle = folder, folder / "bundle"
        save_toy_bundle(self._bundle)
        self._count = 0

    def seeds(self) -> Iterator[bytes]:
        """Yield requests as operators send them."""
        for number, content in (
            (0, {"group": "a"}),
            (0, {"incident": "a:1700000000000", "transaction": 1}),
            (1, {"group": "*", "minutes": 10}),
            (2, {"group": "b"}),
            (3, {"group": "line1/*"}),
            (4, {}),
        ):
            yield bytes([number << 1]) + json.dumps(content).encode()

    def run(self, data: bytes) -> bool:
        """Answer one request; accepted if the answer is `ok`."""
        if self._count % _NEW_PLANT_EVERY == 0:
            self._start_plant()
        self._count += 1
        if not data:
            return False
        name, retained = _NAMES[(data[0] >> 1) % len(_NAMES)], bool(data[0] & 1)
        try:
            request = parse_request(name, data[1:], retained=retained)
        except RequestRejected as rejection:
            json.loads(response_payload(rejection.transaction, str(rejection)))
            return False
        if name == "reload":
            return True
        responses: list[bytes] = []
        assert self._plant.harness.commands.submit(request, responses.append)
        self._plant.harness.run((100.0 + self._count, []))
        (response,) = responses
        return json.loads(response)["status"] == "ok"

    def _start_plant(self) -> None:
        self._plant = OperatorHarness(self._bundle, self._folder)
        gc.collect()  # the previous plant's parts refer to each other
        for group in _GROUPS:
            self._plant.send_readings(20.0, *[HEALTHY] * 5, *[FAULTY] * 3, group=group)
