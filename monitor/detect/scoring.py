"""All stages in order: readings -> windows -> deviations from the baseline -> scores -> verdicts -> events.

The daemon and `backtest` both use this class, so a recording gets the same verdicts as the same readings
live.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.bundle import Bundle
from monitor.bundle.model_input import build_transform
from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.rules import WindowRules
from monitor.core.verdicts import AlertEvent, JudgedWindows
from monitor.detect import baseline
from monitor.detect.alerts import AlertStage
from monitor.detect.contributions import Occlusion
from monitor.detect.drift import DriftStage
from monitor.detect.explanation import explain
from monitor.detect.ranges import RangeStage
from monitor.detect.windows import WindowStage

__all__ = ["ScoredBatch", "Scorer", "Scoring"]

# The drift stage counts inputs in batches of this size: a batch takes 70 µs, as long as a single reading.
_DRIFT_BATCH_READINGS = 256


class Scorer(Protocol):
    """A classifier of windows."""

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of scaled windows (window, step, feature): (window,)."""
        ...


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """The results of all stages for a batch of readings."""

    windows: Windows
    judged_windows: JudgedWindows
    events: list[AlertEvent]
    last_inputs: FloatArray
    """The model's input for the last reading of each window, before scaling: (window, feature)."""


class Scoring:
    """All stages, built for one bundle.

    Parameters
    ----------
    bundle : the verified bundle.
    windows : how readings become windows.
    alerts : turns judged windows into incidents; not shared with another `Scoring`.
    scorer : used instead of the bundle's classifier, for example to measure its time.
    """

    def __init__(
        self, bundle: Bundle, windows: WindowRules, alerts: AlertStage, scorer: Scorer | None = None
    ) -> None:
        manifest = bundle.manifest
        self.windows = WindowStage(manifest.steps, len(manifest.features), windows)
        self._input_transform = build_transform(
            manifest.feature_names, has_baseline=manifest.baseline is not None
        )
        self.baseline = baseline.build(manifest.feature_names, manifest.baseline)
        self.alerts = alerts
        self.drift = DriftStage(manifest.feature_names, manifest.distribution)
        self._pending_inputs: list[FloatArray] = []  # not passed to `drift` yet: (window, feature) each
        self._ranges = RangeStage(manifest.feature_names, manifest.ranges)
        self._scaler = bundle.scaler
        self._scorer: Scorer = scorer or bundle.classifier
        self._threshold = manifest.threshold
        self._features = manifest.features
        self._occlusion = Occlusion(manifest.steps, len(manifest.features))
        self._classifier = bundle.classifier

    def judge(self, readings: Readings) -> ScoredBatch:
        """Process a batch of readings with all stages."""
        windows = self.windows.push(readings)
        groups = [readings.groups[row] for row in windows.reading_indices.tolist()]
        baselines, is_ready = self.baseline.push(groups, windows.values)
        if np.count_nonzero(is_ready) < len(is_ready):
            windows = _mark_warming(windows, is_ready)
            groups, baselines = (
                [readings.groups[row] for row in windows.reading_indices.tolist()],
                baselines[is_ready],
            )
        model_inputs = self._input_transform.transform(windows.values, baselines)  # (window, step, feature)
        scaled = self._scaler.transform(model_inputs)
        scores = self._scorer.score(scaled)  # (window,)
        judged_windows = JudgedWindows(
            groups=groups,
            ts=windows.ts,
            values=windows.values,
            scores=scores,
            faulty=scores > self._threshold,
            out_of_range=self._ranges.flag(model_inputs),
        )
        events = [
            self._explain(event, baselines[event.window_index], scaled[event.window_index])
            if event.is_first
            else event
            for event in self.alerts.update(judged_windows)
        ]
        return ScoredBatch(windows, judged_windows, events, model_inputs[:, -1])

    def learn_pending(self, batch: ScoredBatch) -> None:
        """Do the work that no alert must wait for: count inputs for drift, and learn from full blocks.

        Parameters
        ----------
        batch : result of the last `judge`.
        """
        self._pending_inputs.append(batch.last_inputs)
        if sum(map(len, self._pending_inputs)) >= _DRIFT_BATCH_READINGS:
            self.update_drift()
        self.baseline.learn_pending()

    def update_drift(self) -> None:
        """Count the inputs that were not passed to `drift` yet."""
        if self._pending_inputs:
            self.drift.add(np.concatenate(self._pending_inputs))
            self._pending_inputs.clear()

    def _explain(
        self, event: AlertEvent, group_baseline: FloatArray, scaled: NDArray[np.float32]
    ) -> AlertEvent:
        """Return an incident's first event with its contributions and its reason.

        Parameters
        ----------
        event : the event.
        group_baseline : baseline of the event's group (3, feature).
        scaled : scaled window that caused the event (step, feature).
        """
        window = np.array(event.window_values)  # (step, feature)
        expected = self.baseline.expected(window, group_baseline)

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


def _mark_warming(windows: Windows, is_ready: NDArray[np.bool_]) -> Windows:
    """Remove the windows whose group has no baseline yet; the outcome of their readings becomes `warming`."""
    outcomes = list(windows.outcomes)
    for row in windows.reading_indices[~is_ready].tolist():
        outcomes[row] = Outcome.WARMING
    return replace(
        windows,
        outcomes=outcomes,
        reading_indices=windows.reading_indices[is_ready],
        ts=windows.ts[is_ready],
        values=windows.values[is_ready],
    )
