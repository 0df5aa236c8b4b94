"""The report that `sensor-monitor backtest` prints."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monitor.bundle.manifest import Feature
from monitor.cli.backtest.proposal import Proposal
from monitor.cli.backtest.value_batches import ValueBatches
from monitor.core.arrays import FloatArray
from monitor.core.printable import printable
from monitor.core.readings import Outcome
from monitor.core.values import ValueOutcome
from monitor.core.verdicts import FAULTY, NORMAL, Detector
from monitor.detect.pace import Pace
from monitor.detect.scoring import ScoredBatch
from monitor.recordings.reader import RecordingRow

__all__ = ["Report"]

_SECONDS_PER_DAY = 86400.0


@dataclass(slots=True)
class Report:
    """Counts of readings, windows and alerts in a recording."""

    pace: Pace
    """Finds groups of which nothing can be judged, because their readings come too far apart."""
    max_gap: float
    """As in `WindowRules`, seconds."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """Readings by outcome."""
    predictions: Counter[str] = field(default_factory=Counter)
    """Judged windows by prediction."""
    detectors: Counter[str] = field(default_factory=Counter)
    """Faulty windows by what called them so."""
    events: Counter[str] = field(default_factory=Counter)
    """Alert events by status."""
    first_problem: str = ""
    """Why the first malformed row can't be judged; "" if there is none."""
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Group -> first and last event time, seconds since the Unix epoch."""
    repeat_count: int = 0
    """Number of firing events that repeat the firing event of an open incident."""
    proposal: Proposal | None = None
    """Comparison with proposed alert settings; None if no settings are proposed."""

    ignored_columns: list[str] = field(default_factory=list)
    """Columns of the recording, or features of its values, that are no features of the bundle."""
    value_outcomes: Counter[ValueOutcome] = field(default_factory=Counter)
    """Values by outcome; empty for a recording of readings."""
    undecided_count: int = 0
    """Number of sampling times that the end of the recording left undecided."""
    shows_from: list[str] = field(default_factory=list)
    """Smallest offset of each feature that would be called Faulty after the recording, with name and unit."""

    @property
    def usable_count(self) -> int:
        """Readings that aren't malformed, without the sampling times that have none."""
        return self.outcomes.total() - self.outcomes[Outcome.MALFORMED] - self.outcomes[Outcome.STALE]

    def add(self, batch: Sequence[RecordingRow], scored: ScoredBatch) -> None:
        """Count one batch.

        Parameters
        ----------
        batch : rows of the recording, including malformed rows.
        scored : results of the stages for the rows without a problem.
        """
        self.outcomes.update(scored.windows.outcomes)
        problems = [row.problem for row in batch if row.problem]
        self.outcomes[Outcome.MALFORMED] += len(problems)
        self.first_problem = self.first_problem or next(iter(problems), "")
        for row in batch:
            if row.ts is not None and not row.problem:
                first, last = self.spans.get(row.group, (row.ts, row.ts))
                self.spans[row.group] = min(first, row.ts), max(last, row.ts)
        valid_rows = [row for row in batch if not row.problem]
        self.pace.add(
            [row.group for row in valid_rows],
            np.array([row.ts for row in valid_rows], dtype=np.float64),
            scored.windows.outcomes,
        )
        faulty_count = int(np.count_nonzero(scored.judged_windows.faulty))
        normal_count = len(scored.judged_windows.faulty) - faulty_count
        self.predictions.update({FAULTY: faulty_count, NORMAL: normal_count})
        detectors = np.bincount(scored.judged_windows.detectors, minlength=len(Detector))
        self.detectors.update({detector.label: int(detectors[detector]) for detector in Detector if detector})
        self.events.update(event.status for event in scored.events)
        self.repeat_count += sum(event.repeat > 0 for event in scored.events)
        if self.proposal:
            self.proposal.add(scored)

    def add_values(self, values: ValueBatches) -> None:
        """Add the counts of a recording of values, after its readings were added."""
        self.value_outcomes = values.outcomes
        self.undecided_count = values.undecided_count
        if values.stale_count:
            self.outcomes[Outcome.STALE] += values.stale_count
        self.first_problem = values.first_problem
        self.ignored_columns = list(values.unused_features)

    def add_shows_from(self, features: Sequence[Feature], offsets: FloatArray) -> None:
        """Add the smallest offsets that would be called Faulty after the recording: the median over groups.

        A feature whose offsets don't show however large they are, such as a sensor without neighbour, is
        left out.

        Parameters
        ----------
        offsets : as `Scoring.shows_from_by_row` returns them (row, feature).
        """
        known = offsets[~np.isnan(offsets).all(axis=1)] if offsets.size else offsets
        if len(known):
            self.shows_from = [
                f"{feature.name} {offset:.2g} {feature.unit}".rstrip()
                for feature, offset in zip(features, np.median(known, axis=0).tolist(), strict=True)
                if math.isfinite(offset)
            ]

    def describe_unusable(self) -> str:
        """Return why nothing can be judged, if `usable_count` is 0."""
        if not self.value_outcomes:
            return f"no row can be judged; {self.first_problem}"
        counts = _format_counts(self.value_outcomes + Counter({"stale": self.outcomes[Outcome.STALE]}))
        first = f"; {self.first_problem}" if self.first_problem else ""
        return f"its values make no reading with each feature ({counts}){first}"

    def __str__(self) -> str:
        """Return the lines that `sensor-monitor backtest` prints."""
        days = sum(last - first for first, last in self.spans.values()) / _SECONDS_PER_DAY
        alerts = self.events["firing"]
        rate = f"{alerts / days:.2f} a day and group" if days > 0 else "too short for a rate"
        too_slow = self.pace.describe_problem(self.max_gap)
        over = f"{len(self.spans)} group(s), {days:.2f} group-days"
        repeated = f", {self.repeat_count:,} of them repeated" if self.repeat_count else ""
        return "\n".join(
            [
                *self._value_lines(),
                f"readings     {self.outcomes.total():>9,}   {_format_counts(self.outcomes)}",
                *([f"malformed              first: {self.first_problem}"] if self.first_problem else []),
                *(
                    [f"not used               {', '.join(map(printable, self.ignored_columns))}"]
                    if self.ignored_columns
                    else []
                ),
                f"windows      {self.predictions.total():>9,}   {_format_counts(self.predictions)}",
                *self._detector_lines(),
                f"alerts       {alerts:>9,}   {rate} ({over}){repeated}",
                *([f"shows from             {', '.join(self.shows_from)}"] if self.shows_from else []),
                *([f"pace                   {too_slow}"] if too_slow else []),
                *(["", self.proposal.format_table(self.spans)] if self.proposal else []),
            ]
        )

    def _detector_lines(self) -> list[str]:
        """Return how many Faulty windows each detector found, if it was not the model alone."""
        if self.detectors.total() == self.detectors[Detector.MODEL.label]:
            return []
        return [f"Faulty by    {self.detectors.total():>9,}   {_format_counts(self.detectors)}"]

    def _value_lines(self) -> list[str]:
        if not self.value_outcomes:
            return []
        total = self.value_outcomes.total()
        undecided = f"{self.undecided_count:,} sampling time(s) undecided at the end, left out"
        return [
            f"values       {total:>9,}   {_format_counts(self.value_outcomes)}",
            *([f"                       {undecided}"] if self.undecided_count else []),
        ]


def _format_counts(counts: Counter[Any]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common() if count)
