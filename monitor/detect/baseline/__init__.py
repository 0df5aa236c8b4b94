"""The baseline of each group: the usual deviations between its sensors of the same quantity."""

from monitor.bundle.manifest import BASELINE_VERSION, BaselineSpec
from monitor.detect.baseline.no_baseline import NoBaseline
from monitor.detect.baseline.stage import BaselineStage, build

__all__ = ["BASELINE_VERSION", "BaselineSpec", "BaselineStage", "NoBaseline", "build"]
