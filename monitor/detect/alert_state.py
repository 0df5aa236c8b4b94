"""The alert state of a group: its incident and its runs of Faulty and Normal windows."""

from collections.abc import Sequence

import msgspec

from monitor.core.arrays import FloatArray
from monitor.core.numbers import Count
from monitor.core.times import is_storable_ts
from monitor.core.verdicts import Detector
from monitor.detect.fault_kind import FAULT_KINDS, FaultEvidence, SensorError

__all__ = ["AlertState", "choose_kind"]

# Checks that find one kind of fault: what they find needs no further evidence, except that a sensor which
# stands at the end of its range may have a loss or be out of bounds. Without that, four injected losses of
# humidity were called stuck, and of the kind bounds 0.80 and not 0.97 were told.
_KIND_BY_DETECTOR = {
    Detector.LIMITS.value: "bounds",
    Detector.FLAT.value: "stuck",
    Detector.DRIFT.value: "drift",
}

_DETECTORS = frozenset(detector.value for detector in Detector)
_KINDS = {None, *FAULT_KINDS}
_KINDS_OF_FLAT_SENSORS = {"loss", "bounds"}


class AlertState(msgspec.Struct, array_like=True, gc=False):
    """Alert state of one group; all times are event times in seconds since the Unix epoch.

    A group has no state while its windows are Normal, it has no open incident, and `min_interval` has passed
    since its last incident.
    """

    faulty_run: Count = 0
    """Number of consecutive Faulty windows up to now."""
    normal_run: Count = 0
    """Number of consecutive Normal windows up to now that count towards `clear_after`."""
    run_started_at: float = 0.0
    """Time of the first window of the current run of Faulty or Normal windows."""
    started_at: float | None = None
    """Time at which the open incident began; None if there is none."""
    last_fired_at: float | None = None
    """Time of the incident's last firing event."""
    repeat: Count = 0
    """Number of firing events after the incident's first."""
    acknowledged: bool = False
    """Whether an operator acknowledged the incident, which stops its reminders."""
    ended_at: float | None = None
    """Time at which the last incident ended; None once `min_interval` has passed since then."""
    detector: int = Detector.MODEL.value
    """What called the open incident's windows Faulty, a code of `Detector`: the model, or the first check
    that has found something."""
    evidence: FaultEvidence | None = None
    """The readings since the open incident's first Faulty window, or since the first of the current run of
    Faulty windows; None if there is neither, and in state that an older version dumped."""

    def find_problem(self) -> str:
        """Return what no monitor can have stored; "" if there is nothing."""
        evidence = self.evidence or FaultEvidence()
        times = (self.run_started_at, self.started_at, self.last_fired_at, self.ended_at, evidence.last_ts)
        if not all(map(is_storable_ts, times)):
            return f"has the times {times}"
        if self.detector not in _DETECTORS:
            return f"has the detector {self.detector}"
        return "" if evidence.kind in _KINDS else f"has the kind {evidence.kind!r:.100}"

    def set_detector(self, detector: int, *, is_new: bool) -> None:
        """Set what called a window of the open incident Faulty: a check takes the place of the model.

        Parameters
        ----------
        detector : of the window, a code of `Detector`.
        is_new : whether the window began the incident.
        """
        is_check = detector not in {Detector.NONE, Detector.MODEL}
        if is_new or (self.detector == Detector.MODEL and is_check):
            self.detector = detector

    def add_evidence(self, ts: FloatArray, errors: Sequence[Sequence[SensorError]], *, faulty: bool) -> None:
        """Add a window to the evidence, before the window changes the rest of the state.

        Parameters
        ----------
        ts : event times (step,).
        errors : the sensors with an error in each reading (step,); empty: nothing is known.
        faulty : whether the window is Faulty.
        """
        if faulty and not self.faulty_run and self.started_at is None:
            self.evidence = FaultEvidence()
        if self.evidence is not None and errors:
            self.evidence.add(ts.tolist(), errors)


def choose_kind(detector: int, evidence: FaultEvidence | None) -> str | None:
    """Return the kind of fault of an incident; None if it can't be told.

    Parameters
    ----------
    detector : what called the incident's windows Faulty, a code of `Detector`, see `AlertState.detector`.
    evidence : what its readings tell; None if nothing is known of them.
    """
    told = None if evidence is None else evidence.kind
    if detector == Detector.FLAT and told in _KINDS_OF_FLAT_SENSORS:
        return told
    return _KIND_BY_DETECTOR.get(detector) or told
