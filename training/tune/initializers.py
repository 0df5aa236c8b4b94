"""What a layer's weights begin with: the eight initialisers, their formulas, and what came of each.

Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks"; He et
al. (2015), "Delving Deep into Rectifiers". `in` is the number of a layer's inputs and `out` that of its
outputs; an LSTM's kernel has four outputs a unit, one for each gate.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.config.settings import INITIALIZERS
from training.tune.trials import Trial

__all__ = ["FORMULAS", "Formula", "Result", "results"]


@dataclass(frozen=True, slots=True)
class Formula:
    """How an initialiser draws weights."""

    text: str
    """U(a, b): evenly between a and b. N(m, s): normal with mean m and standard deviation s; "cut": drawn
    again beyond two of the underlying deviations, which are widened so that s holds after the cut."""
    spread: Callable[[int, int], float]
    """Numbers of inputs and outputs -> standard deviation of the weights."""


_EVEN = math.sqrt(3)  # the standard deviation of U(-a, a) is a / sqrt(3)

FORMULAS = {
    "glorot_uniform": Formula(
        "U(-a, a), a = sqrt(6 / (in + out))", lambda i, o: math.sqrt(6 / (i + o)) / _EVEN
    ),
    "glorot_normal": Formula("N(0, sqrt(2 / (in + out))), cut", lambda i, o: math.sqrt(2 / (i + o))),
    "he_normal": Formula("N(0, sqrt(2 / in)), cut", lambda i, _: math.sqrt(2 / i)),
    "he_uniform": Formula("U(-a, a), a = sqrt(6 / in)", lambda i, _: math.sqrt(6 / i) / _EVEN),
    "zeros": Formula("0", lambda _, __: 0.0),
    "ones": Formula("1", lambda _, __: 0.0),
    "random_normal": Formula("N(0, 0.05)", lambda _, __: 0.05),
    "random_uniform": Formula("U(-0.05, 0.05)", lambda _, __: 0.05 / _EVEN),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What networks that began with one initialiser came to on the validation part."""

    name: str
    formula: str
    f1: tuple[float, ...]
    """Of Faulty, one for each seed."""

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.f1))

    @property
    def spread(self) -> float | None:
        """Standard deviation of a sample, over the seeds; None of a single one."""
        return float(np.std(self.f1, ddof=1)) if len(self.f1) > 1 else None


def results(trials: Sequence[Trial]) -> list[Result]:
    """Return a result for each initialiser that has been tried, in the settings' order."""
    found = {
        name: tuple(trial.f1 for trial in trials if trial.parameters["kernel_initializer"] == name)
        for name in INITIALIZERS
    }
    return [Result(name, FORMULAS[name].text, f1) for name, f1 in found.items() if f1]
