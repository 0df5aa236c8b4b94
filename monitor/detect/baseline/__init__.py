"""The baseline of each group: how far its sensors of one quantity usually deviate from one another."""

from monitor.bundle.manifest import BASELINE_VERSION, BaselineSpec
from monitor.detect.baseline.no_baseline import NoBaseline
from monitor.detect.baseline.stage import BaselineStage, build

__all__ = ["BASELINE_VERSION", "BaselineSpec", "BaselineStage", "NoBaseline", "build"]
