"""Each group's own normal: how far its sensors of one quantity usually stand apart."""

from monitor.detect.baseline.none import NoBaseline
from monitor.detect.baseline.stage import VERSION, Baseline, BaselineStage, build

__all__ = ["VERSION", "Baseline", "BaselineStage", "NoBaseline", "build"]
