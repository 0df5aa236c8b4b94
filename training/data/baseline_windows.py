"""Computes windows relative to their group's baseline, with the baseline stage of the monitor."""

from collections.abc import Sequence
from dataclasses import replace

from monitor.bundle.manifest import Judges
from monitor.bundle.model_input import build_transform
from monitor.detect import baseline
from monitor.detect.baseline import BaselineSpec
from training.config.settings import FitSettings
from training.data.dataset import Dataset
from training.data.features import describe_sensor

__all__ = ["apply_baseline", "baseline_from_settings"]


def baseline_from_settings(settings: FitSettings) -> BaselineSpec | None:
    """Return the baseline parameters for a bundle with these settings; None if its input is raw values."""
    if settings.baseline == "none":
        return None
    return BaselineSpec(floors=tuple(describe_sensor(feature).floor for feature in settings.bundle_features))


def apply_baseline(
    data: Dataset, quantities: Sequence[str], spec: BaselineSpec | None, judges: Judges
) -> Dataset:
    """Return the windows relative to their groups' baselines.

    Each series begins without a baseline, and the stage learns it from healthy and faulty windows in order of
    time, as in the monitor. The windows before the baseline of their series is ready are dropped.

    Parameters
    ----------
    data : raw windows.
    quantities : what each feature measures (feature,).
    spec : parameters of the baseline; None to keep raw values.
    judges : what the model judges, as in the manifest.
    """
    stage = baseline.build(quantities, spec)
    transform = build_transform(quantities, has_baseline=spec is not None, judges=judges).transform
    baselines, ready = stage.push(
        [str(series_id) for series_id in data.series_ids.tolist()], data.raw_windows, data.ts
    )
    ready_data, baselines = data[ready], baselines[ready]
    return replace(ready_data, windows=transform(ready_data.raw_windows, baselines), baselines=baselines)
