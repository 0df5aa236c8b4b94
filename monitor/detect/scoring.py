"""The stages in their order: readings -> windows -> in their normals -> scores -> judgements -> alert events.

The daemon and `backtest` both judge with this and nothing else, so a file says what the plant would.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.bundle import Bundle
from monitor.bundle.model_input import model_input
from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.rules import WindowRules
from monitor.core.verdicts import AlertEvent, Judgements
from monitor.detect import baseline
from monitor.detect.alerts import AlertStage
from monitor.detect.contributions import Occlusion
from monitor.detect.drift import DriftStage
from monitor.detect.explanation import reason
from monitor.detect.ranges import RangeStage
from monitor.detect.windows import WindowStage

__all__ = ["Chain", "Scorer", "Verdicts"]

# So many readings at a time are compared with training: one takes as long as all of them, 70 µs.
_COMPARED_AT_ONCE = 256


class Scorer(Protocol):
    """Gives scaled windows (window, step, feature) their scores (window,)."""

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of each window."""
        ...


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All that came of a batch of readings."""

    windows: Windows
    judged: Judgements
    events: list[AlertEvent]
    newest: FloatArray
    """Each window's last reading as it enters the scaler: (window, feature)."""


class Chain:
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
        self._model_input = model_input(manifest.names, has_baseline=manifest.baseline is not None)
        self.baseline = baseline.build(manifest.names, manifest.baseline)
        self.alerts = alerts
        self.drift = DriftStage(manifest.names, manifest.distribution)
        self._newest: list[FloatArray] = []  # not compared with training yet: (window, feature) each
        self._ranges = RangeStage(manifest.names, manifest.ranges)
        self._scaler = bundle.scaler
        self._scorer: Scorer = scorer or bundle.classifier
        self._threshold = manifest.threshold
        self._features = manifest.features
        self._occlusion = Occlusion(manifest.steps, len(manifest.features))
        self._classifier = bundle.classifier

    def judge(self, readings: Readings) -> Verdicts:
        """Run one batch through all stages."""
        windows = self.windows.push(readings)
        groups = [readings.groups[row] for row in windows.rows.tolist()]
        normals, ready = self.baseline.push(groups, windows.values)
        if np.count_nonzero(ready) < len(ready):
            windows = _without(windows, ready)
            groups, normals = [readings.groups[row] for row in windows.rows.tolist()], normals[ready]
        shown = self._model_input.transform(windows.values, normals)  # (window, step, feature)
        scaled = self._scaler.transform(shown)
        scores = self._scorer.score(scaled)  # (window,)
        judged = Judgements(
            groups=groups,
            ts=windows.ts,
            values=windows.values,
            scores=scores,
            faulty=scores > self._threshold,
            out_of_range=self._ranges.flag(shown),
        )
        events = [
            self._explain(event, normals[event.row], scaled[event.row]) if event.begins else event
            for event in self.alerts.update(judged)
        ]
        return Verdicts(windows, judged, events, shown[:, -1])

    def catch_up(self, verdicts: Verdicts) -> None:
        """Do what no alert needs to wait for: compare what came with training, and learn from full blocks."""
        self._newest.append(verdicts.newest)
        if sum(map(len, self._newest)) >= _COMPARED_AT_ONCE:
            self.compare()
        self.baseline.catch_up()

    def compare(self) -> None:
        """Compare with training what came since that was last done."""
        if self._newest:
            self.drift.add(np.concatenate(self._newest))
            self._newest.clear()

    def _explain(self, event: AlertEvent, normal: FloatArray, scaled: NDArray[np.float32]) -> AlertEvent:
        """Add to an incident's first event why it began.

        Parameters
        ----------
        normal : of its group (2, feature).
        scaled : its window (step, feature).
        """
        window = np.array(event.window_values)  # (step, feature)
        usual = self.baseline.usual(window, normal)

        def score(variants: FloatArray) -> FloatArray:
            shown = self._model_input.transform(variants, np.repeat(normal[None], len(variants), axis=0))
            return self._classifier.score(self._scaler.transform(shown))

        found = self._occlusion.explain(window, self._scaler.mean if usual is None else usual, score)
        by_feature, by_step = found.by_feature, found.by_step
        return replace(
            event,
            contributions=None if by_feature is None else by_feature.tolist(),
            contributions_by_step=None if by_step is None else by_step.tolist(),
            reason=reason(self._features, window, scaled, found),
        )


def _without(windows: Windows, ready: NDArray[np.bool_]) -> Windows:
    """Leave out the windows whose group has no normal yet: their readings are `warming`."""
    outcomes = list(windows.outcomes)
    for row in windows.rows[~ready].tolist():
        outcomes[row] = Outcome.WARMING
    return replace(
        windows,
        outcomes=outcomes,
        rows=windows.rows[ready],
        ts=windows.ts[ready],
        values=windows.values[ready],
    )
