"""Runs the stages in order: readings -> windows -> baselines -> scores -> verdicts -> alert events.

The daemon and `backtest` use the same class, so that they give the same verdicts for the same readings.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.bundle.model_input import build_transform
from monitor.bundle.verified import Bundle
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

__all__ = ["ScoredBatch", "Scorer", "Scoring", "StageStates"]

# Number of windows that are counted for drift at once: it takes 70 µs for one window and for 256.
_DRIFT_BATCH_READINGS = 256


class Scorer(Protocol):
    """A classifier of scaled windows."""

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of scaled windows (window, step, feature): (window,)."""
        ...


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """The results of the stages for one batch of readings."""

    windows: Windows
    judged_windows: JudgedWindows
    events: list[AlertEvent]
    last_inputs: FloatArray
    """The model's input for the last reading of each window, before scaling: (window, feature)."""


class StageStates(msgspec.Struct, frozen=True, gc=False):
    """The state of one group in each stage that has state, as bytes that begin with a version."""

    windows: bytes
    baseline: bytes
    """Empty if the bundle has no baseline."""
    alerts: bytes


class Scoring:
    """The stages, built for one bundle, and the state that they keep for each group.

    Parameters
    ----------
    bundle : the verified bundle.
    windows : rules by which readings are cut into windows.
    alerts : the stage that turns judged windows into incidents; no other object uses it.
    scorer : replaces the bundle's classifier, e.g. to measure how long it takes.
    """

    def __init__(
        self, bundle: Bundle, windows: WindowRules, alerts: AlertStage, scorer: Scorer | None = None
    ) -> None:
        manifest = bundle.manifest
        self._windows = WindowStage(manifest.steps, len(manifest.features), windows)
        self._input_transform = build_transform(
            manifest.feature_names,
            has_baseline=manifest.baseline is not None,
            move_growth=bundle.move_growth,
        )
        self._baseline = baseline.build(manifest.feature_names, manifest.baseline)
        self._alerts = alerts
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

    def judge(self, readings: Readings) -> ScoredBatch:
        """Run one batch through all stages."""
        windows = self._windows.push(readings)
        groups = [readings.groups[row] for row in windows.reading_indices.tolist()]
        baselines, is_ready = self._baseline.push(groups, windows.values, windows.ts)
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
            for event in self._alerts.update(judged_windows)
        ]
        return ScoredBatch(windows, judged_windows, events, model_inputs[:, -1])

    def learn_pending(self, batch: ScoredBatch) -> None:
        """Do the work that alerts don't depend on: count inputs for drift, and learn baselines."""
        self._pending_inputs.append(batch.last_inputs)
        if sum(map(len, self._pending_inputs)) >= _DRIFT_BATCH_READINGS:
            self._update_drift()
        self._baseline.learn_pending()

    def _update_drift(self) -> None:
        if self._pending_inputs:
            self.drift.add(np.concatenate(self._pending_inputs))
            self._pending_inputs.clear()

    @property
    def firing_count(self) -> int:
        """Number of open incidents."""
        return self._alerts.firing_count

    def groups(self) -> list[str]:
        """Return the names of all groups that have state in some stage."""
        return list(
            dict.fromkeys([*self._windows.groups(), *self._baseline.groups(), *self._alerts.groups()])
        )

    def dump(self, group: str) -> StageStates:
        """Return the state of a group for `load`."""
        return StageStates(self._windows.dump(group), self._baseline.dump(group), self._alerts.dump(group))

    def load(self, group: str, states: StageStates) -> None:
        """Set the state of a group from a result of `dump`, here or in another instance.

        Raises
        ------
        ValueError : a value is damaged, of another version or of another shape. Some stages may have loaded
            their state before the error.
        """
        self._windows.load(group, states.windows)
        self._baseline.load(group, states.baseline)
        self._alerts.load(group, states.alerts)

    def forget(self, group: str) -> None:
        """Remove the state of a group."""
        self._windows.forget(group)
        self._baseline.forget(group)
        self._alerts.forget(group)

    def take_over(self, other: "Scoring") -> None:
        """Copy the state of all groups and the drift counts from stages with other settings or bundle.

        Raises
        ------
        ValueError : the windows of the other stages have another shape.
        """
        for group in other._windows.groups():  # noqa: SLF001, one class
            self._windows.load(group, other._windows.dump(group))  # noqa: SLF001
        for group in other._baseline.groups():  # noqa: SLF001
            self._baseline.load(group, other._baseline.dump(group))  # noqa: SLF001
        for group in other._alerts.groups():  # noqa: SLF001
            self._alerts.load(group, other._alerts.dump(group))  # noqa: SLF001
        other._update_drift()  # noqa: SLF001
        self.drift.take_over_counts(other.drift)

    def mark_silent(self, group: str) -> None:
        """Let the group's next reading restart its window, whatever the reading's event time."""
        self._windows.mark_silent(group)

    def follow_clock(self, step: float) -> list[str]:
        """Let all groups whose readings carry no event time begin afresh after the wall clock was set.

        Time that passed for their alerts is counted as if the clock had not been set.

        Parameters
        ----------
        step : seconds by which the clock was set; negative: back.

        Returns
        -------
        The groups.
        """
        groups = self._windows.restart_arrival_times()
        for group in groups:
            self._alerts.shift_times(group, step)
        return groups

    def incident_id(self, group: str) -> str | None:
        """Return the id of a group's open incident; None if there is none."""
        return self._alerts.incident_id(group)

    def groups_with_incident(self) -> list[str]:
        """Return the names of the groups with an open incident."""
        return [group for group in self._alerts.groups() if self._alerts.incident_id(group)]

    def acknowledge(self, group: str) -> str | None:
        """Stop repeating the alert of a group's open incident; return the incident's id, or None."""
        return self._alerts.acknowledge(group)

    def reset_after_false_alarm(self, group: str, ts: float) -> bool:
        """End a group's open incident at `ts` (event time, seconds) without an event; drop its baseline.

        The baseline is then learnt again from the next readings, so that the present values count as normal.
        Returns whether there was a baseline.
        """
        self._alerts.end_incident(group, ts)
        has_baseline = bool(self._baseline.dump(group))  # empty if the bundle has none
        if has_baseline:
            self._baseline.forget(group)
        return has_baseline

    def _explain(
        self, event: AlertEvent, group_baseline: FloatArray, scaled: NDArray[np.float32]
    ) -> AlertEvent:
        """Return an incident's first event with the reason why it began, and each feature's contribution.

        Parameters
        ----------
        group_baseline : the baseline of the event's group (3, feature).
        scaled : the scaled window, which is the classifier's input (step, feature).
        """
        window = np.array(event.window_values)  # (step, feature)
        expected = self._baseline.expected(window, group_baseline)

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
    """Remove the windows of groups whose baseline is not ready: their readings are `warming`."""
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
