"""Computes windows relative to their group's baseline, with the baseline stage of the monitor."""

from dataclasses import replace

from monitor.bundle.model_input import build_transform
from monitor.detect import baseline
from monitor.detect.baseline import BaselineSpec
from training.config.settings import FitSettings
from training.data.dataset import Dataset
from training.data.features import FEATURE_NAMES, FEATURES, FLOORS

__all__ = ["apply_baseline", "baseline_from_settings"]


def baseline_from_settings(settings: FitSettings) -> BaselineSpec | None:
    """Return the baseline parameters for a bundle with these settings; None if its input is raw values."""
    if settings.baseline == "none":
        return None
    return BaselineSpec(floors=tuple(FLOORS[feature.unit] for feature in FEATURES))


def apply_baseline(data: Dataset, spec: BaselineSpec | None) -> Dataset:
    """Return the windows relative to their groups' baselines.

    Each series begins without a baseline, and the stage learns it from healthy and faulty windows in order of
    time, as in the monitor. The windows before the baseline of their series is ready are dropped.

    Parameters
    ----------
    data : raw windows.
    spec : parameters of the baseline; None to keep raw values.
    """
    stage = baseline.build(FEATURE_NAMES, spec)
    transform = build_transform(FEATURE_NAMES, has_baseline=spec is not None).transform
    baselines, ready = stage.push(
        [str(series_id) for series_id in data.series_ids.tolist()], data.raw_windows, data.ts
    )
    ready_data, baselines = data[ready], baselines[ready]
    return replace(ready_data, windows=transform(ready_data.raw_windows, baselines), baselines=baselines)
