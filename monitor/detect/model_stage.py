"""Windows and their baselines -> scores, by the bundle's model, and the reasons for its verdicts."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.model_input import build_transform
from monitor.bundle.verified import Bundle
from monitor.core.arrays import FloatArray
from monitor.core.quantities import Quantities
from monitor.core.verdicts import AlertEvent
from monitor.detect.contributions import Occlusion
from monitor.detect.drift import DriftStage
from monitor.detect.explanation import explain
from monitor.detect.ranges import RangeStage

__all__ = ["ModelResults", "ModelStage", "Scorer"]

# Number of windows that are counted for drift at once: it takes 70 µs for one window and for 256.
_DRIFT_BATCH_READINGS = 256


class Scorer(Protocol):
    """A classifier of scaled windows."""

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of scaled windows (window, step, feature): (window,)."""
        ...


@dataclass(frozen=True, slots=True)
class ModelResults:
    """What the model says of windows."""

    scores: FloatArray
    """P(Faulty): (window,)."""
    faulty: NDArray[np.bool_]
    """Whether the score is above the threshold: (window,). Not where there is none."""
    scaled: NDArray[np.float32]
    """The model's input: (window, step, feature)."""
    out_of_range: NDArray[np.bool_]
    """Whether some value is far outside the range of the training data: (window,)."""
    last_inputs: FloatArray
    """The input for the last reading of each scored window, before scaling: (scored, feature)."""

    def spread(self, is_scored: NDArray[np.bool_]) -> "ModelResults":
        """Return results for all windows (window,), of which the model scored some; NaN for the others."""
        scores = np.full(len(is_scored), np.nan)
        scaled = np.full((len(is_scored), *self.scaled.shape[1:]), np.nan, self.scaled.dtype)
        faulty, out_of_range = np.zeros((2, len(is_scored)), dtype=np.bool_)
        scores[is_scored], scaled[is_scored] = self.scores, self.scaled
        faulty[is_scored], out_of_range[is_scored] = self.faulty, self.out_of_range
        return ModelResults(scores, faulty, scaled, out_of_range, self.last_inputs)


class ModelStage:
    """The model with what surrounds it: input transform, scaler, ranges and counts of its inputs.

    Parameters
    ----------
    bundle : the verified bundle.
    scorer : replaces the bundle's classifier, e.g. to measure how long it takes.
    """

    def __init__(self, bundle: Bundle, scorer: Scorer | None = None) -> None:
        manifest = bundle.manifest
        self._input_transform = build_transform(
            manifest.quantities,
            has_baseline=manifest.baseline is not None,
            move_growth=bundle.move_growth,
            judges=manifest.judges,
        )
        # Features without neighbours of a model that judges sensor by sensor (lone,).
        self._lone = Quantities(manifest.quantities).lone[: None if manifest.judges == "sensor" else 0]
        self.drift = DriftStage(manifest.feature_names, manifest.distribution)
        """Compares the scaler's input with the training data."""
        # Inputs that `drift` has not counted yet: arrays (window, feature).
        self._pending_inputs: list[FloatArray] = []
        self._ranges = RangeStage(manifest.feature_names, manifest.ranges)
        self._scaler = bundle.scaler
        self._scorer: Scorer = scorer or bundle.classifier
        self._threshold = manifest.threshold
        self._features = manifest.features
        self._occlusion = Occlusion(manifest.steps, len(manifest.features))
        self._classifier = bundle.classifier

    def score(self, values: FloatArray, baselines: FloatArray, is_ready: NDArray[np.bool_]) -> ModelResults:
        """Return what the model says of windows (window, step, feature).

        Parameters
        ----------
        baselines : of their groups (window, 3, feature).
        is_ready : whether a group has a baseline (window,).
        """
        if np.count_nonzero(is_ready) < len(is_ready):
            return self.score(values[is_ready], baselines[is_ready], is_ready[is_ready]).spread(is_ready)
        model_inputs = self._input_transform.transform(values, baselines)  # (window, step, feature)
        scaled = self._scaler.transform(model_inputs)
        scores = self._scorer.score(scaled)  # (window,)
        is_out_of_range = self._ranges.flag(model_inputs)
        return ModelResults(scores, scores > self._threshold, scaled, is_out_of_range, model_inputs[:, -1])

    def count_inputs(self, last_inputs: FloatArray) -> None:
        """Count inputs (scored, feature) for drift, many at once."""
        self._pending_inputs.append(last_inputs)
        if sum(map(len, self._pending_inputs)) >= _DRIFT_BATCH_READINGS:
            self._update_drift()

    def _update_drift(self) -> None:
        if self._pending_inputs:
            self.drift.add(np.concatenate(self._pending_inputs))
            self._pending_inputs.clear()

    def take_over_counts(self, other: "ModelStage") -> None:
        """Take over the drift counts of another model."""
        other._update_drift()  # noqa: SLF001, one class
        self.drift.take_over_counts(other.drift)

    def explain(
        self,
        event: AlertEvent,
        group_baseline: FloatArray,
        expected: FloatArray | None,
        scaled: NDArray[np.float32],
    ) -> AlertEvent:
        """Return an event with the reason for the model's verdict, and each feature's contribution to it.

        Parameters
        ----------
        group_baseline : the baseline of the event's group (3, feature).
        expected : the values that the sensors should have (step, feature); None: nobody knows.
        scaled : the scaled window, which is the classifier's input (step, feature).
        """
        window = np.array(event.window_values)  # (step, feature)
        if expected is not None and len(self._lone):  # judged by spikes, which stick out from their window
            expected[:, self._lone] = np.median(window[:, self._lone], axis=0)

        def score(variants: FloatArray) -> FloatArray:
            model_inputs = self._input_transform.transform(
                variants, np.repeat(group_baseline[None], len(variants), axis=0)
            )
            return self._classifier.score(self._scaler.transform(model_inputs))

        contributions = self._occlusion.explain(
            window, self._scaler.mean if expected is None else expected, score
        )
        by_feature, by_step = contributions.by_feature, contributions.by_step
        return replace(
            event,
            contributions=None if by_feature is None else by_feature.tolist(),
            contributions_by_step=None if by_step is None else by_step.tolist(),
            reason=explain(self._features, window, scaled, contributions),
        )
