"""Values -> readings: aligns the single values of each group at common sampling times."""

from monitor.ingest.alignment.decisions import AlignedBatch, StaleSamples
from monitor.ingest.alignment.stage import AlignmentStage

__all__ = ["AlignedBatch", "AlignmentStage", "StaleSamples"]
