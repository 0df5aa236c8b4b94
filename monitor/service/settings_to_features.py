"""Loads the bundle that settings name, and adapts it to the features that they describe."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from msgspec import structs

from monitor import bundle
from monitor.bundle import Bundle, Feature, Manifest, default_bundle
from monitor.bundle.scaler import Scaler
from monitor.config.feature_settings import FeatureSettings
from monitor.config.settings import Settings
from monitor.core.errors import ConfigurationError
from monitor.core.quantities import Quantities, describe_lone_features

_Identity = tuple[str, str, str]

__all__ = ["adapt_to_features", "describe_features", "load_bundle"]


def load_bundle(settings: Settings) -> Bundle:
    """Load and verify the bundle that the settings name, for the features that they describe.

    Raises
    ------
    BundleError : as in `bundle.load`.
    ConfigurationError : as in `adapt_to_features`.
    """
    folder = default_bundle.choose_folder(settings.bundle)
    try:
        return adapt_to_features(settings.features, bundle.load(folder))
    except ConfigurationError as error:
        raise ConfigurationError(f"features: bundle {folder} {error}") from error


def adapt_to_features(features: Sequence[FeatureSettings], loaded: Bundle) -> Bundle:
    """Return the bundle for a plant with these features.

    A bundle that judges sensor by sensor takes any features: it judges deviations, in units of each sensor's
    usual one, and these look alike whatever is measured. Features that it was trained on keep their floors,
    ranges and distributions. The others get floors by their accuracy, the widest of the bundle's ranges,
    and the distribution of its first feature; a feature without neighbours gets none, for its input is
    spikes only. Any other bundle takes the features that it was trained on, whose limits and accuracy may
    differ.

    Parameters
    ----------
    features : as in the settings; empty: those of the bundle.

    Raises
    ------
    ConfigurationError : the bundle can't judge these features.
    """
    if not features:
        return loaded
    manifest = loaded.manifest
    trained = {_identity(feature): feature for feature in manifest.features}
    described = [_to_feature(feature, trained) for feature in features]
    if manifest.judges == "window":
        by_name = {feature.name: feature for feature in described}
        ordered = [by_name[name] for name in manifest.feature_names if name in by_name]
        if [*map(_identity, ordered)] != [*trained] or len(described) > len(ordered):
            raise ConfigurationError(
                f"was trained on {', '.join(manifest.feature_names)} together; expected these, each with the "
                'unit and quantity that it has there, or the bundle that comes with the monitor (bundle = "")'
            )
        described = ordered
    adapted = _adapt_manifest(manifest, described, {feature.name: feature.accuracy for feature in features})
    if manifest.judges == "window":
        return replace(loaded, manifest=adapted)
    # The scaler of such a bundle is the same for all features.
    rows = np.zeros(len(described), dtype=np.intp)
    return replace(
        loaded,
        manifest=adapted,
        scaler=Scaler(loaded.scaler.mean[rows], loaded.scaler.scale[rows]),
        classifier=loaded.classifier.for_sensors(Quantities(adapted.quantities).representatives),
    )


def _to_feature(settings: FeatureSettings, trained: Mapping[_Identity, Feature]) -> Feature:
    """Return a feature; what the settings don't say of its sensor, the bundle may.

    Parameters
    ----------
    trained : the features that the bundle was trained on.
    """
    feature = Feature(settings.name, settings.unit, settings.quantity or "")
    known = trained.get(_identity(feature), feature)
    limits = {name: getattr(settings, name) for name in ("low", "high", "accuracy")}
    return structs.replace(known, **{name: value for name, value in limits.items() if value is not None})


def _identity(feature: Feature) -> _Identity:
    """Return what tells whether a bundle was trained on a feature."""
    return feature.name, feature.unit, feature.measured_quantity


def _adapt_manifest(
    manifest: Manifest, features: Sequence[Feature], accuracies: Mapping[str, float | None]
) -> Manifest:
    """Return the manifest for other features.

    Parameters
    ----------
    accuracies : feature -> accuracy in the settings; None: as the bundle or the quantity's default says.
    """
    known = {_identity(feature): number for number, feature in enumerate(manifest.features)}
    sources = {feature.name: known.get(_identity(feature)) for feature in features}
    baseline, distribution = manifest.baseline, manifest.distribution
    if baseline is not None:
        floors = tuple(
            _choose_floor(feature)
            if source is None or accuracies[feature.name] is not None
            else baseline.floors[source]
            for feature, source in zip(features, sources.values(), strict=True)
        )
        baseline = structs.replace(baseline, floors=floors)
    lows, highs = zip(*manifest.ranges.values(), strict=True)
    widest = min(lows), max(highs)
    ranges = {name: widest if source is None else manifest.ranges[name] for name, source in sources.items()}
    if distribution is not None and manifest.judges == "sensor":
        counts = Counter(feature.measured_quantity for feature in features)
        first = distribution[manifest.feature_names[0]]
        distribution = {
            feature.name: first if sources[feature.name] is None else distribution[feature.name]
            for feature in features
            if counts[feature.measured_quantity] > 1
        }
    return structs.replace(
        manifest, features=tuple(features), baseline=baseline, ranges=ranges, distribution=distribution
    )


def _choose_floor(feature: Feature) -> float:
    floor = feature.floor
    if floor is None:  # the settings refuse a feature of which neither accuracy nor defaults are known
        raise ValueError(f"{feature.name} has no floor")
    return floor


def describe_features(manifest: Manifest) -> Iterator[str]:
    """Yield each feature's limits and unit, then what can't be found because some have no neighbour."""
    for feature in manifest.features:
        low, high = feature.limits
        unit = f" {feature.unit}" if feature.unit else ""
        limits = f"{low:g} to {high:g}{unit}" if np.isfinite([low, high]).any() else f"no limits{unit}"
        yield f"{feature.name}: {limits}"
    yield from describe_lone_features(manifest.feature_names, manifest.quantities)
