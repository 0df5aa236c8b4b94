"""Configuration that all benchmarks share: folders, bundle and scale."""

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
"""Readings of a group until one is judged, also with a baseline."""
_MIN_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """Folders and scale of a run."""

    folder: Path
    """Folder for everything that is written."""
    bundle: Path
    """Folder of the bundle."""
    scale: float
    """0.1 sends a tenth of the messages."""

    def workload(self, message_count: int, group_count: int = 1000, **options: int) -> Workload:
        """Return a workload of `message_count` messages times the scale, but at least `_MIN_MESSAGES`.

        `options` are further fields of `Workload`.
        """
        scaler = msgspec.json.decode((self.bundle / "scaler.json").read_bytes())
        scaled_count = max(_MIN_MESSAGES, round(message_count * self.scale))
        return Workload(
            tuple(scaler["features"]), tuple(scaler["mean"]), group_count, scaled_count, **options
        )

    def empty_folder(self, name: str) -> Path:
        """Return an empty folder that is named after a row."""
        folder = (self.folder / re.sub(r"\W+", "-", name)).absolute()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder
