"""The stages in their order: readings -> windows -> in their normals -> scores -> judgements -> alert events.

The daemon and `backtest` both judge with this and nothing else, so a file says what the plant would.
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

# So many readings at a time are compared with training: one takes as long as all of them, 70 µs.
_DRIFT_BATCH_READINGS = 256


class Scorer(Protocol):
    """Gives scaled windows (window, step, feature) their scores (window,)."""

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of each window."""
        ...


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """All that came of a batch of readings."""

    windows: Windows
    judged_windows: JudgedWindows
    events: list[AlertEvent]
    last_inputs: FloatArray
    """Each window's last reading as it enters the scaler: (window, feature)."""


class Scoring:
    """The stages, built for one bundle.

    Parameters
    ----------
    bundle : the verified bundle.
    windows : when a window starts afresh.
    alerts : turns judged windows into incidents; it belongs to this chain alone.
    scorer : scores in the bundle's place, where somebody wants to watch it work.
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
        self._pending_inputs: list[FloatArray] = []  # not compared with training yet: (window, feature) each
        self._ranges = RangeStage(manifest.feature_names, manifest.ranges)
        self._scaler = bundle.scaler
        self._scorer: Scorer = scorer or bundle.classifier
        self._threshold = manifest.threshold
        self._features = manifest.features
        self._occlusion = Occlusion(manifest.steps, len(manifest.features))
        self._classifier = bundle.classifier

    def judge(self, readings: Readings) -> ScoredBatch:
        """Run one batch through all stages."""
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
        """Do what no alert needs to wait for: compare what came with training, and learn from full blocks."""
        self._pending_inputs.append(batch.last_inputs)
        if sum(map(len, self._pending_inputs)) >= _DRIFT_BATCH_READINGS:
            self.update_drift()
        self.baseline.learn_pending()

    def update_drift(self) -> None:
        """Compare with training what came since that was last done."""
        if self._pending_inputs:
            self.drift.add(np.concatenate(self._pending_inputs))
            self._pending_inputs.clear()

    def _explain(
        self, event: AlertEvent, group_baseline: FloatArray, scaled: NDArray[np.float32]
    ) -> AlertEvent:
        """Add to an incident's first event why it began.

        Parameters
        ----------
        group_baseline : of its group (2, feature).
        scaled : its window (step, feature).
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
    """Leave out the windows whose group has no normal yet: their readings are `warming`."""
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
