"""The type of a loaded and verified bundle."""

from dataclasses import dataclass

from monitor.bundle.manifest import Manifest
from monitor.bundle.model import Classifier
from monitor.bundle.scaler import Scaler

__all__ = ["Bundle"]


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A loaded and verified bundle, with the scaler and the classifier that judge windows."""

    manifest: Manifest
    scaler: Scaler
    classifier: Classifier
    move_growth: tuple[float, ...] | None = None
    """As in `DeviationTransform`, for a plant whose sensors report when they changed."""
