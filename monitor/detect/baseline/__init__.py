"""Each group's own normal: how far its sensors of one quantity usually stand apart."""

from monitor.bundle.manifest import BASELINE_VERSION, BaselineSpec
from monitor.detect.baseline.no_baseline import NoBaseline
from monitor.detect.baseline.stage import BaselineStage, build

__all__ = ["BASELINE_VERSION", "BaselineSpec", "BaselineStage", "NoBaseline", "build"]
