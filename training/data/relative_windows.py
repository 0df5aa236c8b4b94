"""Windows in their group's own normal, as the monitor will show them to the network."""

from dataclasses import replace

from monitor.bundle.model_input import build_transform
from monitor.detect import baseline
from monitor.detect.baseline import BaselineSpec
from training.config.settings import FitSettings
from training.data.dataset import Dataset
from training.data.recordings import FEATURE_NAMES, FEATURES

__all__ = ["apply_baseline", "baseline_from_settings"]

# A fifth of the accuracy of a mote's sensor (Sensirion SHT11: 0.4 degC, 3 %RH): what two good ones differ by
# from one hour to the next, beyond what they always differ by.
_FLOORS = {"degC": 0.08, "%RH": 0.5}


def baseline_from_settings(settings: FitSettings) -> BaselineSpec | None:
    """Return the baseline of a bundle that is trained with these settings."""
    if settings.baseline == "none":
        return None
    return BaselineSpec(floors=tuple(_FLOORS[feature.unit] for feature in FEATURES))


def apply_baseline(data: Dataset, baseline_config: BaselineSpec | None) -> Dataset:
    """Return the windows in their groups' normals, without those that come before there is one.

    Each stretch begins without a normal, and faults stand in it where they do in the plant: what is learnt
    of the normal is learnt beside them.
    """
    stage = baseline.build(FEATURE_NAMES, baseline_config)
    transform = build_transform(FEATURE_NAMES, has_baseline=baseline_config is not None).transform
    baselines, ready = stage.push(
        [str(series_id) for series_id in data.series_ids.tolist()], data.raw_windows
    )
    ready_data, baselines = data[ready], baselines[ready]
    return replace(ready_data, windows=transform(ready_data.raw_windows, baselines), baselines=baselines)
