"""A pipeline in memory with requests of operators."""

import json
from pathlib import Path
from typing import Any

from monitor.operators.requests import parse_request
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message

__all__ = ["OperatorHarness", "incident_id"]


class OperatorHarness:
    """A pipeline in memory that receives readings and requests, and keeps the responses."""

    def __init__(self, bundle: Path, folder: Path, **options: Any) -> None:
        self.file = folder / "false-alarms.csv"
        self.harness = PipelineHarness(bundle, false_alarms=self.file, **options)
        self.responses: list[dict[str, Any]] = []

    def send_request(self, name: str, **content: Any) -> None:
        request = parse_request(name, json.dumps(content).encode(), retained=False)
        assert self.harness.commands.submit(
            request, lambda response: self.responses.append(json.loads(response))
        )

    def request_at(self, now: float, name: str, **content: Any) -> dict[str, Any]:
        """Send a request, run the pipeline at this time, and return the answer."""
        self.send_request(name, **content)
        self.harness.run((now, []))
        return self.responses[-1]

    def send_readings(self, now: float, *rows: list[float], group: str = "g") -> None:
        """Process readings of a group up to this time, one a second."""
        begin = now - len(rows) + 1
        messages = [message(begin + number, row, f"p/{group}") for number, row in enumerate(rows)]
        self.harness.run((now, messages))

    def events(self) -> list[tuple[str, str]]:
        return [(event["id"], event["status"]) for event in self.harness.payloads("alerts/")]


def incident_id(ts: float, group: str = "g") -> str:
    """Return the id of a group's incident that began `ts` seconds after NOW."""
    return f"{group}:{int(NOW + ts) * 1000}"
