"""Each group's own normal: how far its sensors of one quantity usually stand apart."""

from monitor.bundle.manifest import VERSION, Baseline
from monitor.detect.baseline.no_baseline import NoBaseline
from monitor.detect.baseline.stage import BaselineStage, build

__all__ = ["VERSION", "Baseline", "BaselineStage", "NoBaseline", "build"]
