"""The weight initialisers: their formulas, and the validation F1 scores of networks trained with them.

Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks"; He et
al. (2015), "Delving Deep into Rectifiers". `in` is the number of a layer's inputs and `out` the number
of its outputs; an LSTM's kernel has four outputs per unit, one for each gate.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.config.initializers import parse_call, split_texts
from training.tune.trials import Trial

__all__ = ["FORMULAS", "InitializerFormula", "InitializerResult", "collect_results", "describe_initializer"]


@dataclass(frozen=True, slots=True)
class InitializerFormula:
    """The distribution from which an initialiser draws weights."""

    text: str
    """Text of the formula. U(a, b): uniform between a and b. N(m, s): normal with mean m and standard
    deviation s. "cut": a wider normal distribution, truncated at two of its standard deviations; s is the
    standard deviation after truncation."""
    std: Callable[[int, int], float]
    """Number of inputs, number of outputs -> standard deviation of the weights."""


_SQRT_3 = math.sqrt(3)  # the standard deviation of U(-a, a) is a / sqrt(3)

FORMULAS = {
    "glorot_uniform": InitializerFormula(
        "U(-a, a), a = sqrt(6 / (in + out))", lambda i, o: math.sqrt(6 / (i + o)) / _SQRT_3
    ),
    "glorot_normal": InitializerFormula(
        "N(0, sqrt(2 / (in + out))), cut", lambda i, o: math.sqrt(2 / (i + o))
    ),
    "he_normal": InitializerFormula("N(0, sqrt(2 / in)), cut", lambda i, _: math.sqrt(2 / i)),
    "he_uniform": InitializerFormula("U(-a, a), a = sqrt(6 / in)", lambda i, _: math.sqrt(6 / i) / _SQRT_3),
    "zeros": InitializerFormula("0", lambda _, __: 0.0),
    "ones": InitializerFormula("1", lambda _, __: 0.0),
    "random_normal": InitializerFormula("N(0, 0.05)", lambda _, __: 0.05),
    "random_uniform": InitializerFormula("U(-0.05, 0.05)", lambda _, __: 0.05 / _SQRT_3),
}


@dataclass(frozen=True, slots=True)
class InitializerResult:
    """Validation F1 scores of the networks trained with one initialiser."""

    name: str
    formula: str
    f1_scores: tuple[float, ...]
    """F1 score of class Faulty for each seed: (seed,)."""

    @property
    def mean(self) -> float:
        """Mean F1 score over the seeds."""
        return float(np.mean(self.f1_scores))

    @property
    def std(self) -> float | None:
        """Sample standard deviation of the F1 score over the seeds; None for a single seed."""
        return float(np.std(self.f1_scores, ddof=1)) if len(self.f1_scores) > 1 else None


def collect_results(trials: Sequence[Trial]) -> list[InitializerResult]:
    """Return a result for each initialiser that has been tried, in the order of the first trials."""
    f1_by_text: dict[str, list[float]] = {}
    for trial in trials:
        f1_by_text.setdefault(trial.parameters["kernel_initializer"], []).append(trial.f1)
    return [InitializerResult(text, describe_initializer(text), tuple(f1)) for text, f1 in f1_by_text.items()]


def describe_initializer(text: str) -> str:
    """Return the formula of an initialiser, given as in the setting `kernel_initializer`."""
    if isinstance(split_texts(text), tuple):
        return "of the three hidden layers and the output"
    name, parameters = parse_call(text)
    if not parameters:
        return FORMULAS[name].text
    return "{}({:g}, {:g})".format("N" if name == "random_normal" else "U", *parameters)
