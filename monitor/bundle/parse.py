"""Parses a bundle's JSON files and checks the rules that their types can't express."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from monitor.bundle.manifest import (
    COMPATIBLE_BASELINE_VERSIONS,
    SCHEMA_VERSION,
    Distribution,
    GoldenFile,
    Manifest,
    ScalerFile,
)
from monitor.bundle.scaler import Scaler
from monitor.bundle.texts import check_texts
from monitor.core.arrays import FloatArray
from monitor.core.errors import BundleError

__all__ = ["golden_baselines", "golden_windows", "parse"]


_T = TypeVar("_T")

# Memory and work of each group grow with steps x features. The plants tried have up to 60 features.
_MAX_FEATURES = 1000
_MAX_STEPS = 1000
_MAX_SAMPLE_PERIOD_S = 10 * 365 * 86400.0


def parse(
    manifest_json: bytes, scaler_json: bytes, golden_json: bytes
) -> tuple[Manifest, Scaler, GoldenFile]:
    """Parse the three JSON files and check them against each other.

    Raises
    ------
    BundleError : a file can't be parsed or breaks a rule, or the files contradict each other.
    """
    _check_schema(manifest_json)
    manifest = _decode("manifest.json", manifest_json, Manifest)
    check_texts(manifest)
    _check_manifest(manifest)
    scaler_file = _decode("scaler.json", scaler_json, ScalerFile)
    golden_file = _decode("golden.json", golden_json, GoldenFile)
    for name, features in (("scaler.json", scaler_file.features), ("golden.json", golden_file.features)):
        if features != manifest.feature_names:
            raise BundleError(
                f"{name}: features are {list(features)}, "
                f"expected manifest.json's {list(manifest.feature_names)}"
            )
    scaler = _build_scaler(manifest, scaler_file)
    _check_golden_windows(manifest, golden_file)
    _check_golden_baselines(manifest, golden_file)
    return manifest, scaler, golden_file


def golden_windows(golden: GoldenFile) -> FloatArray:
    """Return the golden windows as an array (window, step, feature), or an empty one if they are ragged."""
    try:
        return np.array(golden.windows, dtype=np.float64)
    except ValueError:
        return np.empty(0)


def golden_baselines(golden: GoldenFile) -> FloatArray:
    """Return the baselines of the golden windows (window, 3, feature); an empty array if there are none."""
    try:
        return np.array(golden.baselines or [], dtype=np.float64)
    except ValueError:
        return np.empty(0)


def _build_scaler(manifest: Manifest, scaler_file: ScalerFile) -> Scaler:
    try:
        scaler = Scaler.from_numbers(scaler_file.mean, scaler_file.scale)
    except ValueError as error:
        raise BundleError(f"scaler.json: {error}") from error
    if len(scaler.mean) != len(manifest.features):
        raise BundleError(
            f"scaler.json: {len(scaler.mean)} means, expected {len(manifest.features)}, one for each feature"
        )
    return scaler


def _check_golden_windows(manifest: Manifest, golden: GoldenFile) -> None:
    steps, features = manifest.steps, len(manifest.features)
    if not golden.scores or golden_windows(golden).shape != (len(golden.scores), steps, features):
        raise BundleError(f"golden.json: expected windows of {steps} x {features} numbers, each with a score")


def _check_golden_baselines(manifest: Manifest, golden: GoldenFile) -> None:
    if manifest.baseline is None:
        if golden.baselines is not None:
            raise BundleError("golden.json: has baselines, expected none as in manifest.json")
        return
    baselines = golden_baselines(golden)
    if baselines.shape != (len(golden.scores), 3, len(manifest.features)) or not (baselines[:, 1] > 0).all():
        raise BundleError(
            f"golden.json: expected for each window its baseline: 3 x {len(manifest.features)} numbers, "
            "levels, units above 0, and the values of the last block"
        )


def _decode(name: str, content: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{name}: {error}") from error
    except RecursionError:
        raise BundleError(f"{name}: is nested too deep") from None


class _SchemaOnly(msgspec.Struct):
    schema: int


def _check_schema(manifest: bytes) -> None:
    """Check the schema version before the rest, because another version may have other fields."""
    version = _decode("manifest.json", manifest, _SchemaOnly).schema
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"manifest.json: schema version {version}, this monitor reads version {SCHEMA_VERSION}"
        )


def _check_manifest(manifest: Manifest) -> None:
    names = manifest.feature_names
    units = ", ".join(f"{feature.name} {feature.unit}" for feature in manifest.features)
    rules = [
        (len(names) >= 1 and len(set(names)) == len(names), f"features {list(names)} must be distinct names"),
        (
            len(set(manifest.quantities))
            == len({(feature.measured_quantity, feature.unit) for feature in manifest.features}),
            f"features of one quantity must have one unit, not {units}",
        ),
        (len(names) <= _MAX_FEATURES, f"at most {_MAX_FEATURES:,} features are taken, not {len(names):,}"),
        (manifest.steps >= 2, f"steps must be at least 2, not {manifest.steps}"),  # noqa: PLR2004
        (manifest.steps <= _MAX_STEPS, f"steps must be at most {_MAX_STEPS:,}, not {manifest.steps}"),
        (
            0 < manifest.sample_period <= _MAX_SAMPLE_PERIOD_S,
            f"sample_period must be above 0 s, and below ten years, not {manifest.sample_period}",
        ),
        (
            all(f.accuracy is None or f.accuracy > 0 for f in manifest.features),
            "a feature's accuracy must be above 0",
        ),
        (
            all(f.limits[0] < f.limits[1] for f in manifest.features),
            "a feature's low must be below its high",
        ),
        (0 < manifest.threshold < 1, f"threshold must lie between 0 and 1, not {manifest.threshold}"),
        (
            manifest.baseline is None or manifest.baseline.version in COMPATIBLE_BASELINE_VERSIONS,
            f"baseline.version must be one of {COMPATIBLE_BASELINE_VERSIONS}; train the bundle again",
        ),
        (
            manifest.baseline is None
            or (
                len(manifest.baseline.floors) == len(names)
                and all(0 < floor < math.inf for floor in manifest.baseline.floors)
            ),
            f"baseline.floors must be {len(names)} numbers above 0, one for each feature",
        ),
        (
            manifest.judges == "window" or manifest.baseline is not None,
            'judges "sensor" needs a baseline: without one, sensors can\'t be compared',
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
    for name, entry in distribution.items():
        if entry.problem:
            raise BundleError(f"manifest.json: distribution.{name}: {entry.problem}")
