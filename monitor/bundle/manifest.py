"""What stands in a bundle's JSON files, and the id made of what decides a score."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.bundle.scaler import Scaler

__all__ = [
    "BASELINE_VERSION",
    "SCHEMA_VERSION",
    "BaselineSpec",
    "Distribution",
    "Feature",
    "GoldenFile",
    "Manifest",
    "ScalerFile",
    "compute_bundle_id",
]

SCHEMA_VERSION = 1


BASELINE_VERSION = 2
"""Of the rules here and in `learning`: what another version's showed of windows is nothing for this one's."""


class BaselineSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How each group's own normal is found, as the manifest has it."""

    floors: tuple[float, ...]
    """The least unit of each feature, in its own: healthy sensors may differ by a few of them (feature,)."""
    version: int = BASELINE_VERSION
    """Of the rules."""


class Distribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The healthy values of one feature in training, as they enter the scaler."""

    low: float
    """A thousandth of them is below."""
    high: float
    """A thousandth of them is above."""
    edges: tuple[float, ...]
    """Between the bins, increasing; a value that equals one belongs above it."""
    shares: tuple[float, ...]
    """Of the values in each bin: one more than there are edges."""

    @property
    def problem(self) -> str:
        """Which rule it breaks; "" if none."""
        edges = np.array([self.low, *self.edges, self.high])
        if not (np.isfinite(edges).all() and (np.diff(edges) >= 0).all() and (np.diff(self.edges) > 0).all()):
            return "low, edges and high must be increasing numbers"
        if len(self.shares) != len(self.edges) + 1:
            return f"{len(self.edges)} edges need {len(self.edges) + 1} shares, not {len(self.shares)}"
        if min(self.shares) < 0 or not abs(sum(self.shares) - 1) < _SHARE_SUM_TOLERANCE:
            return "shares must be at least 0 and sum up to 1"
        return ""


_SHARE_SUM_TOLERANCE = 1e-6


class Feature(msgspec.Struct, frozen=True):
    """One of a reading's values."""

    name: str
    unit: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`: what the model expects, and where it comes from."""

    schema: int = SCHEMA_VERSION
    id: str
    """A hash of what decides a score, see `identify`."""
    created: str
    """ISO 8601, UTC."""
    features: tuple[Feature, ...]
    """In the order of the model's input."""
    steps: int
    """Readings in a window."""
    sample_period: float
    """Seconds between two readings of a group."""
    threshold: float
    """A window is Faulty where its score is above this."""
    baseline: BaselineSpec | None = None
    """How a group's own normal is found; None where windows are judged as they come."""
    ranges: dict[str, tuple[float, float]]
    """Feature -> lowest and highest healthy value in training, but for a thousandth at either end: in the
    feature's unit, or with a baseline in units of the group's normal."""
    distribution: dict[str, Distribution] | None = None
    """Feature -> its healthy values in training as they enter the scaler; None where it isn't known."""
    data: dict[str, Any]
    """What it was trained and tested on."""
    quality: dict[str, Any]
    """Measured on the test part."""
    versions: dict[str, str]
    """The libraries that made it."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)


class ScalerFile(msgspec.Struct, frozen=True):
    """`scaler.json`: the fitted StandardScaler as numbers."""

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]


class GoldenFile(msgspec.Struct, frozen=True):
    """`golden.json`: some windows and the score that Keras gave each."""

    features: tuple[str, ...]
    windows: list[list[list[float]]]
    """Raw values: (window, step, feature)."""
    scores: list[float]
    """(window,)."""
    baselines: list[list[list[float]]] | None = None
    """What was the normal of each, see `BaselineStage`: (window, 3, feature); None without one."""


def compute_bundle_id(
    weights: Sequence[NDArray[Any]],
    scaler: Scaler,
    features: Sequence[Feature],
    steps: int,
    threshold: float,
    baseline: BaselineSpec | None = None,
) -> str:
    """Return the bundle's id: 16 hex digits that change with anything that decides a score.

    The weights go in as arrays and not as a file, so the same training gives the same id on another day.
    """
    digest = hashlib.sha256()
    for array in [*weights, scaler.mean, scaler.scale]:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    settings = {
        "features": [[feature.name, feature.unit] for feature in features],
        "steps": steps,
        "threshold": threshold,
        "baseline": msgspec.to_builtins(baseline),
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()[:16]
