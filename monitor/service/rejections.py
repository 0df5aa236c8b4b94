"""Readings and values that were dropped by a stage behind the decoder, with reasons for the log."""

from collections.abc import Sequence
from itertools import islice

from monitor.core.readings import Outcome, Readings, RejectedReading
from monitor.core.times import describe_lead
from monitor.core.values import RejectedValue, ValueOutcome, Values
from monitor.detect.scoring import ScoredBatch
from monitor.ingest.alignment import AlignedBatch, StaleSamples

__all__ = ["out_of_order", "rejected_values", "stale_readings"]

_TIMESTAMP_REASONS = {
    Outcome.DUPLICATE: "its ts is that of the reading before",
    Outcome.LATE: "its ts is before that of the reading before",
    Outcome.FUTURE: "its ts is ahead of this machine's clock by {lead}",
    Outcome.RETAINED: "retained, and its group is silent",
    Outcome.GAP: "its ts is more than windows.max_gap after the reading before, so the window starts afresh",
}
_VALUE_REASONS = {
    ValueOutcome.DUPLICATE: "its ts is that of the value before",
    ValueOutcome.LATE: "its sampling time was decided before it came; input.align.wait is the time for it",
    ValueOutcome.FUTURE: "its ts is ahead of this machine's clock by {lead}",
    ValueOutcome.RETAINED: "retained, and its group is silent",
}
# Stale samples of one batch that get a reason for the log, which limits the lines anyway: of 100,000 groups
# all may be stale at one sampling time.
_MAX_STALE_REASONS = 10


def out_of_order(readings: Readings, scored: ScoredBatch) -> list[RejectedReading]:
    """Return the readings with an out-of-order event time or after a gap, with a reason for the log."""
    outcomes = scored.windows.outcomes
    if not _TIMESTAMP_REASONS.keys() & set(outcomes):
        return []
    rejected = []
    for row, outcome in enumerate(outcomes):
        reason = _TIMESTAMP_REASONS.get(outcome)
        if reason:
            if outcome is Outcome.FUTURE:
                reason = reason.format(lead=describe_lead(readings.ts[row] - readings.arrived_at[row]))
            rejected.append(
                RejectedReading(outcome, readings.groups[row], f"{reason} (ts {readings.ts[row]:.3f})")
            )
    return rejected


def rejected_values(values: Values, aligned: AlignedBatch) -> list[RejectedValue]:
    """Return the values that the alignment dropped, with a reason for the log."""
    if not _VALUE_REASONS.keys() & set(aligned.outcomes):
        return []
    rejected = []
    for index, outcome in enumerate(aligned.outcomes):
        reason = _VALUE_REASONS.get(outcome)
        if reason:
            if outcome is ValueOutcome.FUTURE:
                reason = reason.format(lead=describe_lead(values.ts[index] - values.arrived_at[index]))
            text = f"{reason} (ts {values.ts[index]:.3f})"
            rejected.append(RejectedValue(outcome, values.groups[index], text))
    return rejected


def stale_readings(stale: StaleSamples, features: Sequence[str]) -> list[RejectedReading]:
    """Return sampling times without a reading, with a reason for the log; of many, the first.

    Parameters
    ----------
    features : names of the features, in the bundle's order.
    """
    rejected = []
    samples = zip(stale.groups, stale.ts, stale.is_stale, strict=True)
    for group, ts, is_stale in islice(samples, _MAX_STALE_REASONS):
        names = ", ".join(name for name, flag in zip(features, is_stale, strict=True) if flag)
        reason = f"no value, or none within input.align.max_age: {names} (ts {ts:.3f})"
        rejected.append(RejectedReading(Outcome.STALE, group, reason))
    return rejected
