"""What a bundle holds once it is verified."""

from dataclasses import dataclass

from monitor.bundle.manifest import Manifest
from monitor.bundle.model import Classifier
from monitor.bundle.scaler import Scaler

__all__ = ["Bundle"]


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle, ready to judge."""

    manifest: Manifest
    scaler: Scaler
    classifier: Classifier
