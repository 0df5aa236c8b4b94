"""Runs the stages in order: readings -> windows -> checks -> baselines -> scores -> verdicts -> alert events.

The daemon and `backtest` use the same class, so that they give the same verdicts for the same readings.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.bundle.model_input import UNIT_GROWTH_PER_MOVE
from monitor.bundle.verified import Bundle
from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.rules import DEFAULT_CHECK_RULES, CheckRules, WindowRules
from monitor.core.verdicts import AlertEvent, Detector, JudgedWindows
from monitor.detect import baseline
from monitor.detect.alerts import AlertStage
from monitor.detect.checks import CheckStage, Findings
from monitor.detect.drift import DriftStage
from monitor.detect.model_stage import ModelResults, ModelStage, Scorer
from monitor.detect.sensitivity import find_smallest_offsets
from monitor.detect.sensor_errors import SensorErrors
from monitor.detect.windows import WindowStage

__all__ = ["ScoredBatch", "Scoring", "StageStates"]


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """The results of the stages for one batch of readings."""

    windows: Windows
    judged_windows: JudgedWindows
    events: list[AlertEvent]
    last_inputs: FloatArray
    """The model's input for the last reading of each window that it scored, before scaling: (scored,
    feature)."""
    kinds: dict[int, str] = field(default_factory=dict)
    """Index of a Faulty window of an open incident -> kind of its fault; only where it can be told."""


class StageStates(msgspec.Struct, frozen=True, gc=False):
    """The state of one group in each stage that has state, as bytes that begin with a version."""

    windows: bytes
    baseline: bytes
    """Empty if the bundle has no baseline."""
    alerts: bytes
    checks: bytes = b""
    """Empty in states of a time before there were checks."""


class Scoring:
    """The stages, built for one bundle, and the state that they keep for each group.

    Parameters
    ----------
    bundle : the verified bundle.
    windows : rules by which readings are cut into windows.
    alerts : the stage that turns judged windows into incidents; no other object uses it.
    checks : which checks are on.
    scorer : replaces the bundle's classifier, e.g. to measure how long it takes.
    """

    def __init__(
        self,
        bundle: Bundle,
        windows: WindowRules,
        alerts: AlertStage,
        checks: CheckRules = DEFAULT_CHECK_RULES,
        scorer: Scorer | None = None,
    ) -> None:
        manifest = bundle.manifest
        self._windows = WindowStage(manifest.steps, len(manifest.features), windows)
        self._baseline = baseline.build(manifest.quantities, manifest.baseline)
        self._checks = CheckStage(manifest.features, manifest.baseline, checks)
        self._alerts = alerts
        self._model = ModelStage(bundle, scorer)
        self._sensor_errors = SensorErrors(manifest, self._baseline)
        # In units of a group's baseline: (feature,).
        self._smallest_offsets = None if manifest.baseline is None else find_smallest_offsets(bundle)
        growth = bundle.move_growth
        self._move_growth = UNIT_GROWTH_PER_MOVE if growth is None else np.array(growth)  # (feature,)

    def judge(self, readings: Readings) -> ScoredBatch:
        """Run one batch through all stages."""
        windows = self._windows.push(readings)
        groups = [readings.groups[row] for row in windows.reading_indices.tolist()]
        findings = self._checks.push(groups, windows.ts[:, -1], windows.values)
        baselines, is_ready = self._baseline.push(groups, windows.values, windows.ts, findings.is_true)
        detectors, judged_rows = findings.detectors, None
        if np.count_nonzero(is_ready) < len(is_ready):
            is_judged = is_ready | (detectors != Detector.NONE)
            windows, judged_rows = _mark_warming(windows, is_judged), is_judged.nonzero()[0]
            groups = [readings.groups[row] for row in windows.reading_indices.tolist()]
            baselines, is_ready, detectors = baselines[is_judged], is_ready[is_judged], detectors[is_judged]
        results = self._model.score(windows.values, baselines, is_ready)
        is_model = results.faulty
        model_detectors = is_model.view(np.uint8)  # `Detector.MODEL` is 1
        judged_windows = JudgedWindows(
            groups=groups,
            ts=windows.ts,
            values=windows.values,
            scores=results.scores,
            faulty=is_model if findings.is_empty else is_model | (detectors != Detector.NONE),
            out_of_range=results.out_of_range,
            detectors=model_detectors
            if findings.is_empty
            else np.where(detectors, detectors, model_detectors),
        )
        events, kinds = self._alerts.update_with_kinds(
            judged_windows, partial(self._sensor_errors.find, judged_windows, baselines, is_ready)
        )
        for number, event in enumerate(events):
            if event.is_first:
                row = event.window_index
                found_row = row if judged_rows is None else int(judged_rows[row])
                events[number] = self._explain(event, results, baselines[row], findings, found_row)
        return ScoredBatch(windows, judged_windows, events, results.last_inputs, kinds)

    def learn_pending(self, batch: ScoredBatch) -> None:
        """Do the work that alerts don't depend on: count inputs for drift, and learn baselines."""
        self._model.count_inputs(batch.last_inputs)
        self._baseline.learn_pending()

    @property
    def drift(self) -> DriftStage:
        """Compares the scaler's input with the training data."""
        return self._model.drift

    @property
    def firing_count(self) -> int:
        """Number of open incidents."""
        return self._alerts.firing_count

    def groups(self) -> list[str]:
        """Return the names of all groups that have state in some stage."""
        return list(
            dict.fromkeys(
                [
                    *self._windows.groups(),
                    *self._checks.groups(),
                    *self._baseline.groups(),
                    *self._alerts.groups(),
                ]
            )
        )

    def dump(self, group: str) -> StageStates:
        """Return the state of a group for `load`."""
        return StageStates(
            self._windows.dump(group),
            self._baseline.dump(group),
            self._alerts.dump(group),
            self._checks.dump(group),
        )

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
        self._checks.load(group, states.checks)

    def forget(self, group: str) -> None:
        """Remove the state of a group."""
        self._windows.forget(group)
        self._baseline.forget(group)
        self._alerts.forget(group)
        self._checks.forget(group)

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
        for group in other._checks.groups():  # noqa: SLF001
            self._checks.load(group, other._checks.dump(group))  # noqa: SLF001
        self._model.take_over_counts(other._model)  # noqa: SLF001

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

    def kind(self, group: str) -> str | None:
        """Return the kind of fault of a group's open incident; None if it can't be told or none is open."""
        return self._alerts.kind(group)

    def groups_with_incident(self) -> list[str]:
        """Return the names of the groups with an open incident."""
        return [group for group in self._alerts.groups() if self._alerts.incident_id(group)]

    def shows_from(self, group: str) -> list[float] | None:
        """Return the smallest offset of each feature that would be called Faulty now: (feature,).

        In the feature's unit, and infinite where no offset would be. While the plant moves the offset has to
        be larger: this is the one for its usual moves. None if the group has no baseline.
        """
        units = self._baseline.usual_units(group, self._move_growth)
        if units is None or self._smallest_offsets is None:
            return None
        offsets: list[float] = (self._smallest_offsets * units).tolist()
        return offsets

    def shows_from_by_row(self) -> FloatArray:
        """Return `shows_from` of all groups: (row, feature). Any thread may call this.

        A row is that of a group, or of no group; NaN where there is no baseline.
        """
        units = self._baseline.all_usual_units(self._move_growth)
        return units if self._smallest_offsets is None else self._smallest_offsets * units

    def mark_published(self, group: str) -> None:
        """Record that the group's `shows_from` was published."""
        self._baseline.mark_published(group, self._move_growth)

    def find_changed_sensitivity(self) -> list[str]:
        """Return the groups whose `shows_from` has changed by more than a fifth since it was published."""
        return self._baseline.find_changed(self._move_growth)

    def acknowledge(self, group: str) -> str | None:
        """Stop repeating the alert of a group's open incident; return the incident's id, or None."""
        return self._alerts.acknowledge(group)

    def reset_after_false_alarm(self, group: str, ts: float) -> bool:
        """End a group's open incident at `ts` (event time, seconds) without an event; drop its baseline.

        The baseline is then learnt again from the next readings, so that the present values count as normal.
        So is what the checks know of the group.
        Returns whether there was a baseline.
        """
        self._alerts.end_incident(group, ts)
        self._checks.forget(group)
        has_baseline = bool(self._baseline.dump(group))  # empty if the bundle has none
        if has_baseline:
            self._baseline.forget(group)
        return has_baseline

    def _explain(
        self,
        event: AlertEvent,
        results: ModelResults,
        group_baseline: FloatArray,
        findings: Findings,
        found_row: int,
    ) -> AlertEvent:
        """Return an incident's first event with the reason why it began, and each feature's contribution.

        Parameters
        ----------
        results : of the model, for the judged windows.
        group_baseline : the baseline of the event's group (3, feature).
        findings, found_row : of the checks, and the row of the event's window in them.
        """
        row, window = event.window_index, np.array(event.window_values)  # (step, feature)
        if results.faulty[row]:
            expected = self._baseline.expected(window, group_baseline)
            event = self._model.explain(event, group_baseline, expected, results.scaled[row])
        if findings.detectors[found_row] != Detector.NONE:
            event = replace(event, reason=self._checks.describe(findings, found_row, window))
        return event


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
