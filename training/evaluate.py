"""How good the bundle's model is on windows that training hasn't seen."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from training.dataset import Dataset

__all__ = ["Quality", "measure"]


@dataclass(frozen=True, slots=True)
class Quality:
    """Counts of windows, and the shares that follow from them. A share of nothing is None."""

    found: int
    """Faulty windows called Faulty."""
    missed: int
    """Faulty windows called Normal."""
    false_alarms: int
    """Normal windows called Faulty."""
    passed: int
    """Normal windows called Normal."""
    precision: float | None
    recall: float | None
    f1: float | None
    false_share: float | None
    """Share of the Normal windows that are called Faulty."""
    recall_by_kind: dict[str, float]
    """Kind of fault -> share found of the windows whose last reading has it."""
    windows_by_kind: dict[str, int]
    """Kind of fault -> windows whose last reading has it."""

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain values, for the manifest."""
        return asdict(self)


def measure(data: Dataset, called_faulty: NDArray[np.bool_]) -> Quality:
    """Compare what the model said of each window (window,) with the truth."""
    found = int((data.faulty & called_faulty).sum())
    missed = int((data.faulty & ~called_faulty).sum())
    false_alarms = int((~data.faulty & called_faulty).sum())
    passed = int((~data.faulty & ~called_faulty).sum())
    kinds = [str(kind) for kind in np.unique(data.kinds) if kind]
    return Quality(
        found=found,
        missed=missed,
        false_alarms=false_alarms,
        passed=passed,
        precision=_share(found, found + false_alarms),
        recall=_share(found, found + missed),
        f1=_share(2 * found, 2 * found + missed + false_alarms),
        false_share=_share(false_alarms, false_alarms + passed),
        recall_by_kind={kind: float(called_faulty[data.kinds == kind].mean()) for kind in kinds},
        windows_by_kind={kind: int((data.kinds == kind).sum()) for kind in kinds},
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
