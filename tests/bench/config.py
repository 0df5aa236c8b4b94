"""What all rows share: where things are, and how much of everything there is."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.bench.workload import Feed

__all__ = ["STEPS", "WARM_UP", "Setting"]

STEPS = 3
"""Readings in a window."""
WARM_UP = 10
"""Readings of a group until one was judged, with a baseline too."""
_FEWEST = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how much."""

    folder: Path
    """For what is written."""
    bundle: Path
    scale: float
    """0.1 sends a tenth."""

    def feed(self, messages: int, groups: int = 1000, **more: int) -> Feed:
        """Return a feed of so many messages at full scale; never fewer than are worth a look."""
        scaler = msgspec.json.decode((self.bundle / "scaler.json").read_bytes())
        count = max(_FEWEST, round(messages * self.scale))
        return Feed(tuple(scaler["features"]), tuple(scaler["mean"]), groups, count, **more)

    def fresh(self, name: str) -> Path:
        """Return an empty folder."""
        folder = (self.folder / re.sub(r"\W+", "-", name)).absolute()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder
