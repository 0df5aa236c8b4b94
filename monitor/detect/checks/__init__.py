"""Checks: faults that are found without a model. Each is described in its own module."""

from monitor.detect.checks.findings import Findings
from monitor.detect.checks.stage import CheckStage

__all__ = ["CheckStage", "Findings"]
