"""What all rows share: where things are, and how much of everything there is."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.bench.workload import Workload

__all__ = ["STEPS", "WARM_UP_READINGS", "BenchConfig"]

STEPS = 3
"""Readings in a window."""
WARM_UP_READINGS = 10
"""Readings of a group until one was judged, with a baseline too."""
_MIN_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """Where and how much."""

    folder: Path
    """For what is written."""
    bundle: Path
    scale: float
    """0.1 sends a tenth."""

    def workload(self, message_count: int, group_count: int = 1000, **options: int) -> Workload:
        """Return a feed of so many messages at full scale; never fewer than are worth a look."""
        scaler = msgspec.json.decode((self.bundle / "scaler.json").read_bytes())
        scaled_count = max(_MIN_MESSAGES, round(message_count * self.scale))
        return Workload(
            tuple(scaler["features"]), tuple(scaler["mean"]), group_count, scaled_count, **options
        )

    def empty_folder(self, name: str) -> Path:
        """Return an empty folder."""
        folder = (self.folder / re.sub(r"\W+", "-", name)).absolute()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder
