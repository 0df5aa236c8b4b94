"""Windows in their group's own normal, as the monitor will show them to the network."""

from dataclasses import replace

from monitor.bundle.model_input import model_input
from monitor.detect import baseline
from monitor.detect.baseline import Baseline
from training.config.settings import FitSettings
from training.data.dataset import Dataset
from training.data.recordings import FEATURES, NAMES

__all__ = ["described", "shown"]

# A fifth of the accuracy of a mote's sensor (Sensirion SHT11: 0.4 degC, 3 %RH): what two good ones differ by
# from one hour to the next, beyond what they always differ by.
_FLOORS = {"degC": 0.08, "%RH": 0.5}


def described(settings: FitSettings) -> Baseline | None:
    """Return the baseline of a bundle that is trained with these settings."""
    if settings.baseline == "none":
        return None
    return Baseline(floors=tuple(_FLOORS[feature.unit] for feature in FEATURES))


def shown(data: Dataset, described: Baseline | None) -> Dataset:
    """Return the windows in their groups' normals, without those that come before there is one.

    Each stretch begins without a normal, and faults stand in it where they do in the plant: what is learnt
    of the normal is learnt beside them.
    """
    stage = baseline.build(NAMES, described)
    transform = model_input(NAMES, has_baseline=described is not None).transform
    normals, ready = stage.push([str(stretch) for stretch in data.stretches.tolist()], data.raw)
    kept, normals = data[ready], normals[ready]
    return replace(kept, windows=transform(kept.raw, normals), normals=normals)
