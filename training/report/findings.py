"""The input of the model card: manifest, datasets, network and metrics of one training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.bundle import Manifest
from training.data.cleaning import CleaningReport
from training.data.dataset import Dataset
from training.evaluate.bundle_comparison import Comparison
from training.evaluate.permutation_importance import Importance
from training.evaluate.quality import Evaluation
from training.faults.healthy_recordings import HealthyRecordings
from training.network.weights import LayerWeights

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """The results of one training that the model card shows."""

    manifest: Manifest
    """The bundle's manifest; `data["settings"]` holds the settings of the training."""
    train: Dataset
    validation: Dataset
    test: Dataset
    cleaning: CleaningReport
    layers: Sequence[LayerWeights]
    """The layers of the network, from input to output."""
    history: Mapping[str, Sequence[float]]
    """`loss` and `val_loss` of each epoch: (epoch,)."""
    evaluation: Evaluation | None
    """Metrics on the test set; None if the test set is empty."""
    importance: Importance | None
    """Permutation importance on the test set; None if it was not computed."""
    healthy: HealthyRecordings | None = None
    """The unlabelled recordings into whose copies faults were injected (`fit --healthy`); None if the
    recordings had labels."""
    comparison: Comparison | None = None
    """The comparison with another bundle; None if there was none."""
