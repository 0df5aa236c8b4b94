"""The contents of a bundle's JSON files, and the bundle id: a hash of everything that decides a score."""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.bundle.scaler import Scaler
from monitor.core.quantities import quantity_name
from monitor.core.quantity_defaults import find_defaults

__all__ = [
    "BASELINE_VERSION",
    "COMPATIBLE_BASELINE_VERSIONS",
    "FLOORS_PER_ACCURACY",
    "SCHEMA_VERSION",
    "BaselineSpec",
    "Distribution",
    "Feature",
    "GoldenFile",
    "Judges",
    "Manifest",
    "ScalerFile",
    "compute_bundle_id",
]

SCHEMA_VERSION = 1
"""Version of the manifest's format."""

BASELINE_VERSION = 3
"""Version of the baseline's rules in `model_input` and `detect.baseline`, and of the state of groups."""
COMPATIBLE_BASELINE_VERSIONS = (2, BASELINE_VERSION)
"""Versions with which a model may have been trained. A model that was trained with other deviations can't
judge these. Version 3 changed those of readings 3.75 minutes apart or more, of the time after a gap, and of
the time after a fault of 70 readings or more; a bundle of version 2 was trained on others."""


Judges = Literal["window", "sensor"]
"""What the model judges at once. "window": all features of a window; "sensor": one sensor's deviations in the
window, and the highest score of all sensors is the window's. The two sensors of a pair deviate equally but
for the sign, so one of them is judged."""


class BaselineSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest's parameters for learning each group's baseline."""

    floors: tuple[float, ...]
    """Lower limit of the baseline's unit for each feature, in the feature's own unit: (feature,). Healthy
    sensors may differ by a few times this value."""
    version: int = BASELINE_VERSION
    """Version of the rules."""


class Distribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Histogram of the healthy values of one feature in the training data, as they enter the scaler."""

    low: float
    """The 0.1 % quantile, or the minimum if both quantiles are equal."""
    high: float
    """The 99.9 % quantile, or the maximum if both quantiles are equal."""
    edges: tuple[float, ...]
    """Inner edges of the bins, increasing: (bin - 1,). A value equal to an edge belongs to the bin above
    it."""
    shares: tuple[float, ...]
    """Share of the values in each bin: (bin,)."""

    @property
    def problem(self) -> str:
        """The rule that the numbers break; "" if they break none."""
        edges = np.array([self.low, *self.edges, self.high])
        if not (np.isfinite(edges).all() and (np.diff(edges) >= 0).all() and (np.diff(self.edges) > 0).all()):
            return "low, edges and high must be increasing numbers"
        if len(self.shares) != len(self.edges) + 1:
            return f"{len(self.edges)} edges need {len(self.edges) + 1} shares, not {len(self.shares)}"
        if min(self.shares) < 0 or not abs(sum(self.shares) - 1) < _SHARE_SUM_TOLERANCE:
            return "shares must be at least 0 and sum up to 1"
        return ""


_SHARE_SUM_TOLERANCE = 1e-6

FLOORS_PER_ACCURACY = 5
"""The floor of a baseline is this part of the sensor's accuracy, where that is given."""


class Feature(msgspec.Struct, frozen=True):
    """One of the values of a reading."""

    name: str
    unit: str
    """Unit of the values, such as degC; "" if there is none."""
    quantity: str = ""
    """What the feature measures; "": its name up to the last `_`."""
    low: float | None = None
    """Lowest value that its sensor can have; None: as the quantity's default says, if it has one."""
    high: float | None = None
    """Highest value that its sensor can have; None: as for `low`."""
    accuracy: float | None = None
    """Largest error that the sensor's data sheet allows; None: as for `low`."""

    @property
    def measured_quantity(self) -> str:
        """What the feature measures: features with the same value here are neighbours."""
        return self.quantity or quantity_name(self.name)

    @property
    def floor(self) -> float | None:
        """Smallest unit of a deviation from the baseline; None if neither accuracy nor quantity tell it.

        A fifth of the accuracy where that is given. Two healthy sensors differ by about this much from one
        hour to the next.
        """
        if self.accuracy is not None:
            return self.accuracy / FLOORS_PER_ACCURACY
        defaults = find_defaults(self.measured_quantity, self.unit)
        return None if defaults is None else defaults.floor

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that the sensor can have; infinite where nothing is known."""
        defaults = find_defaults(self.measured_quantity, self.unit)
        low, high = (-math.inf, math.inf) if defaults is None else defaults.limits
        return low if self.low is None else self.low, high if self.high is None else self.high


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`: the input that the model expects, and how the model was trained."""

    schema: int = SCHEMA_VERSION
    id: str
    """Hash of everything that decides a score, see `compute_bundle_id`."""
    created: str
    """Time of creation, ISO 8601 in UTC."""
    features: tuple[Feature, ...]
    """The features in the order of the model's input."""
    steps: int
    """Number of readings in a window."""
    sample_period: float
    """Seconds between two readings of a group."""
    threshold: float
    """A window is Faulty if its score is above this."""
    baseline: BaselineSpec | None = None
    """Parameters of the baseline; None if the model judges raw values."""
    judges: Judges = "window"
    """What the model judges at once. "sensor" needs a baseline."""
    ranges: dict[str, tuple[float, float]]
    """Feature -> lowest and highest healthy value in the training data, without the lowest and the highest
    0.1 %. In the feature's unit; with a baseline, deviations in units of the baseline."""
    distribution: dict[str, Distribution] | None = None
    """Feature -> distribution of its healthy values in the training data; None if it was not recorded."""
    data: dict[str, Any]
    """Description of the training and test data."""
    quality: dict[str, Any]
    """Quality measured on the test data."""
    versions: dict[str, str]
    """Library -> version used in training."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantity that each feature measures, in order."""
        return tuple(feature.measured_quantity for feature in self.features)


class ScalerFile(msgspec.Struct, frozen=True):
    """`scaler.json`: the fitted StandardScaler as numbers."""

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]


class GoldenFile(msgspec.Struct, frozen=True):
    """`golden.json`: some windows and the scores that Keras gave them, to verify the model on loading."""

    features: tuple[str, ...]
    windows: list[list[list[float]]]
    """Raw values: (window, step, feature)."""
    scores: list[float]
    """P(Faulty): (window,)."""
    baselines: list[list[list[float]]] | None = None
    """The baseline of each window, see `BaselineStage.push`: (window, 3, feature); None for a model without
    baseline."""


def compute_bundle_id(
    weights: Sequence[NDArray[Any]],
    scaler: Scaler,
    features: Sequence[Feature],
    steps: int,
    threshold: float,
    baseline: BaselineSpec | None = None,
    judges: Judges = "window",
) -> str:
    """Return the bundle's id: 16 hex digits of a hash of everything that decides a score.

    The weights are hashed as arrays and not as a file, because the model files of two trainings differ even
    if the weights are the same.

    Parameters
    ----------
    weights : the weights of all layers, in order.
    scaler, features, steps, threshold, baseline, judges : as in the manifest.
    """
    digest = hashlib.sha256()
    for array in [*weights, scaler.mean, scaler.scale]:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    settings = {
        "features": [_describe_feature(feature) for feature in features],
        "steps": steps,
        "threshold": threshold,
        "baseline": msgspec.to_builtins(baseline),
        # Without it where it is "window", so that bundles made before there was a choice keep their ids.
        **({} if judges == "window" else {"judges": judges}),
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _describe_feature(feature: Feature) -> list[str]:
    """Return what of a feature decides a score; its limits and its accuracy don't."""
    quantity = feature.measured_quantity
    return [feature.name, feature.unit, *([] if quantity == quantity_name(feature.name) else [quantity])]
