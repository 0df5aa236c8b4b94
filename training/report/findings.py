"""Everything that a training found and the report shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.bundle import Manifest
from training.data.cleaning import CleaningReport
from training.data.dataset import Dataset
from training.evaluate.permutation_importance import Importance
from training.evaluate.quality import Evaluation
from training.faults.healthy_recordings import HealthyRecordings
from training.network.weights import LayerWeights

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """Everything that the report shows."""

    manifest: Manifest
    """The bundle's manifest; `data["settings"]` holds the settings of the training."""
    train: Dataset
    validation: Dataset
    test: Dataset
    cleaning: CleaningReport
    layers: Sequence[LayerWeights]
    """In the order from the window to the score."""
    history: Mapping[str, Sequence[float]]
    """`loss` and `val_loss` of each epoch: (epoch,)."""
    evaluation: Evaluation | None
    """On the test part; None where that is empty."""
    importance: Importance | None
    """On the test part; None where it was not measured."""
    healthy: HealthyRecordings | None = None
    """The recordings, where they came without labels and faults were injected into copies."""
