"""A world whose operators ask."""

import json
from pathlib import Path
from typing import Any

from monitor.operators.requests import read
from tests.monitor.service.pipeline_fixture import NOW, World, message

__all__ = ["Office", "identify"]


class Office:
    """A world whose operators ask."""

    def __init__(self, bundle: Path, folder: Path, **options: Any) -> None:
        self.file = folder / "false-alarms.csv"
        self.world = World(bundle, false_alarms=self.file, **options)
        self.answers: list[dict[str, Any]] = []

    def ask(self, name: str, **content: Any) -> None:
        request = read(name, json.dumps(content).encode(), retained=False)
        assert self.world.desk.ask(request, lambda said: self.answers.append(json.loads(said)))

    def tell(self, at: float, name: str, **content: Any) -> dict[str, Any]:
        """Ask, let a turn pass at this time, and return the answer."""
        self.ask(name, **content)
        self.world.run((at, []))
        return self.answers[-1]

    def hear(self, at: float, *rows: list[float], group: str = "g") -> None:
        """Let a group send readings up to this time, one a second."""
        begin = at - len(rows) + 1
        messages = [message(begin + number, row, f"p/{group}") for number, row in enumerate(rows)]
        self.world.run((at, messages))

    def events(self) -> list[tuple[str, str]]:
        return [(event["id"], event["status"]) for event in self.world.said("alerts/")]


def identify(ts: float, group: str = "g") -> str:
    """Return the id of a group's incident that began `ts` seconds after NOW."""
    return f"{group}:{int(NOW + ts) * 1000}"
