"""What stands in a bundle's JSON files: their schema, and the rules that types can't say."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.bundle.scaler import Scaler
from monitor.core.errors import BundleError
from monitor.core.records import FloatArray
from monitor.detect.baseline import VERSION, Baseline
from monitor.detect.drift import Distribution

__all__ = ["SCHEMA", "Feature", "Golden", "Manifest", "ScalerFile", "identify", "parse"]

SCHEMA = 1
_T = TypeVar("_T")


class Feature(msgspec.Struct, frozen=True):
    """One of a reading's values."""

    name: str
    unit: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`: what the model expects, and where it comes from."""

    schema: int = SCHEMA
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
    baseline: Baseline | None = None
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
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)


class ScalerFile(msgspec.Struct, frozen=True):
    """`scaler.json`: the fitted StandardScaler as numbers."""

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]


class Golden(msgspec.Struct, frozen=True):
    """`golden.json`: some windows and the score that Keras gave each."""

    features: tuple[str, ...]
    windows: list[list[list[float]]]
    """Raw values: (window, step, feature)."""
    scores: list[float]
    """(window,)."""
    baselines: list[list[list[float]]] | None = None
    """What was the normal of each, see `BaselineStage`: (window, 3, feature); None without one."""


def identify(
    weights: Sequence[NDArray[Any]],
    scaler: Scaler,
    features: Sequence[Feature],
    steps: int,
    threshold: float,
    baseline: Baseline | None = None,
) -> str:
    """Return the bundle's id: 16 hex digits that change with anything that decides a score.

    The weights go in as arrays and not as a file, so the same training gives the same id on another day.
    """
    digest = hashlib.sha256()
    for array in [*weights, scaler.mean, scaler.scale]:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    rest = {
        "features": [[feature.name, feature.unit] for feature in features],
        "steps": steps,
        "threshold": threshold,
        "baseline": msgspec.to_builtins(baseline),
    }
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def parse(manifest: bytes, scaler: bytes, golden: bytes) -> tuple[Manifest, Scaler, Golden]:
    """Read the three JSON files and check them against each other.

    Raises
    ------
    BundleError : one isn't readable, breaks a rule, or they contradict each other.
    """
    _check_schema(manifest)
    head = _decode("manifest.json", manifest, Manifest)
    _check_manifest(head)
    numbers = _decode("scaler.json", scaler, ScalerFile)
    examples = _decode("golden.json", golden, Golden)
    for name, features in (("scaler.json", numbers.features), ("golden.json", examples.features)):
        if features != head.names:
            raise BundleError(
                f"{name}: features are {list(features)}, expected manifest.json's {list(head.names)}"
            )
    try:
        fitted = Scaler.of(numbers.mean, numbers.scale)
    except ValueError as error:
        raise BundleError(f"scaler.json: {error}") from error
    if len(fitted.mean) != len(head.features):
        raise BundleError(
            f"scaler.json: {len(fitted.mean)} means, expected {len(head.features)}, one each feature"
        )
    if not examples.scores or golden_windows(examples).shape != (
        len(examples.scores),
        head.steps,
        len(head.features),
    ):
        raise BundleError(
            f"golden.json: expected windows of {head.steps} x {len(head.features)} numbers, each with a score"
        )
    _check_normals(head, examples)
    return head, fitted, examples


def golden_windows(golden: Golden) -> FloatArray:
    """Return the golden windows as an array (window, step, feature); empty if they are ragged."""
    try:
        return np.array(golden.windows, dtype=np.float64)
    except ValueError:
        return np.empty(0)


def golden_normals(golden: Golden) -> FloatArray:
    """Return the golden windows' normals as an array (window, 3, feature); empty if there are none."""
    try:
        return np.array(golden.baselines or [], dtype=np.float64)
    except ValueError:
        return np.empty(0)


def _check_normals(manifest: Manifest, golden: Golden) -> None:
    if manifest.baseline is None:
        if golden.baselines is not None:
            raise BundleError("golden.json: has baselines, expected none as in manifest.json")
        return
    normals = golden_normals(golden)
    if normals.shape != (len(golden.scores), 3, len(manifest.features)) or not (normals[:, 1] > 0).all():
        raise BundleError(
            f"golden.json: expected for each window its baseline: 3 x {len(manifest.features)} numbers, "
            "levels, units above 0, and where the last block was"
        )


def _decode(name: str, content: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise BundleError(f"{name}: {error}") from error


class _SchemaOnly(msgspec.Struct):
    schema: int


def _check_schema(manifest: bytes) -> None:
    """Look at the version alone first: another schema may have other fields."""
    version = _decode("manifest.json", manifest, _SchemaOnly).schema
    if version != SCHEMA:
        raise BundleError(f"manifest.json: schema version {version}, this monitor reads version {SCHEMA}")


def _check_manifest(manifest: Manifest) -> None:
    names = manifest.names
    rules = [
        (len(names) >= 1 and len(set(names)) == len(names), f"features {list(names)} must be distinct names"),
        (manifest.steps >= 2, f"steps must be at least 2, not {manifest.steps}"),  # noqa: PLR2004
        (manifest.sample_period > 0, f"sample_period must be above 0 s, not {manifest.sample_period}"),
        (0 < manifest.threshold < 1, f"threshold must lie between 0 and 1, not {manifest.threshold}"),
        (
            manifest.baseline is None or manifest.baseline.version == VERSION,
            f"baseline.version must be {VERSION}, as this monitor's rules are; train the bundle again",
        ),
        (
            manifest.baseline is None
            or (
                len(manifest.baseline.floors) == len(names)
                and all(0 < floor < math.inf for floor in manifest.baseline.floors)
            ),
            f"baseline.floors must be {len(names)} numbers above 0, one each feature",
        ),
        (set(manifest.ranges) == set(names), f"ranges must name {list(names)}, not {list(manifest.ranges)}"),
        (
            all(low < high and math.isfinite(high - low) for low, high in manifest.ranges.values()),
            "each range must be [lowest, highest] with lowest below highest",
        ),
    ]
    for holds, rule in rules:
        if not holds:
            raise BundleError(f"manifest.json: {rule}")
    _check_distribution(names, manifest.distribution)


def _check_distribution(names: Sequence[str], distribution: Mapping[str, Distribution] | None) -> None:
    if distribution is None:
        return
    if set(distribution) != set(names):
        raise BundleError(f"manifest.json: distribution must name {list(names)}, not {list(distribution)}")
    for name, one in distribution.items():
        if one.problem:
            raise BundleError(f"manifest.json: distribution.{name}: {one.problem}")
