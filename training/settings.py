"""How to train: frozen settings with their defaults."""

from dataclasses import dataclass

__all__ = ["FitSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """What `sensor-training fit` can be told."""

    test_share: float = 0.2
    """Share of each group's time, at its end, that is kept for the test; 0 for none."""
    epochs: int = 30
    """Passes over the training part."""
    batch_size: int = 64
    """Windows between two updates of the weights."""
    learning_rate: float = 1e-3
    """Adam's, at the start; it falls to 0 along a cosine."""
    seed: int = 0
    """Of the weights, the dropout and the order of windows."""
