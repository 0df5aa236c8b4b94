"""Counts what messages become, by outcome, group and reason, and describes it on one screen."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from monitor.core.arrays import IndexArray
from monitor.core.printable import printable
from monitor.core.readings import Outcome, Readings, RejectedReading
from monitor.core.reasons import strip_variable_text
from monitor.core.values import RejectedValue, Values

__all__ = ["InputReport"]

_MAX_GROUPS = 10_000
_MAX_REASONS = 200
_MAX_SHOWN_GROUPS, _MAX_SHOWN_REASONS = 12, 8
_USABLE_OUTCOMES = frozenset({Outcome.JUDGED, Outcome.FILLING, Outcome.WARMING, Outcome.SKIPPED, Outcome.GAP})


class InputReport:
    """What messages became so far.

    Parameters
    ----------
    features : names of the features, in the bundle's order.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self._features = features
        self._readings: Counter[str] = Counter()
        self._values: Counter[str] = Counter()
        self._counts_by_group: dict[str, IndexArray] = defaultdict(lambda: np.zeros(len(features), np.intp))
        self._reasons: Counter[str] = Counter()
        self._examples: dict[str, RejectedReading | RejectedValue] = {}
        self.message_count = 0
        """Messages that came."""
        self.overflow_count = 0
        """Messages that were dropped because they came too fast."""
        self.usable_count = 0
        """Readings and values that a monitor would take."""
        self.seconds = 0.0
        """For how long messages were waited for."""

    def __str__(self) -> str:
        """Return the counts in one line."""
        return f"{self.message_count:,} messages, {len(self._counts_by_group):,} group(s)"

    def add_readings(self, readings: Readings, outcomes: Sequence[Outcome], received: int) -> None:
        """Count readings.

        Parameters
        ----------
        received : how many of them came as such; those after them were made of values, whose features are
            counted by `add_values`.
        """
        self._readings.update(outcomes)
        for row, (group, outcome) in enumerate(zip(readings.groups, outcomes, strict=True)):
            if outcome in _USABLE_OUTCOMES:
                self.usable_count += 1
                if row < received:
                    self._count_features(group, slice(None))

    def add_values(self, values: Values, outcomes: Sequence[str]) -> None:
        """Count values by outcome."""
        self._values.update(outcomes)
        is_number = ~np.isnan(values.values)  # (value,)
        for group, feature in zip(
            np.array(values.groups, object)[is_number], values.features[is_number].tolist(), strict=True
        ):
            self._count_features(group, feature)
        self.usable_count += outcomes.count("accepted")

    def add_stale(self, count: int, examples: Sequence[RejectedReading]) -> None:
        """Count sampling times without a reading; `examples` are some of them."""
        if count:
            self._readings[Outcome.STALE] += count
            self.add_rejected(examples, counted=True)

    def add_rejected(self, rejected: Sequence[RejectedReading | RejectedValue], *, counted: bool) -> None:
        """Count what was dropped by its reason.

        Parameters
        ----------
        counted : whether its outcome has been counted already, by one of the other methods.
        """
        for item in rejected:
            if not counted:
                (self._readings if isinstance(item, RejectedReading) else self._values)[item.outcome] += 1
            key = f"{item.outcome} {strip_variable_text(item.reason)}"
            if key in self._examples or len(self._examples) < _MAX_REASONS:
                self._examples.setdefault(key, item)
                self._reasons[key] += 1

    def describe(self) -> str:
        """Return all of it in lines."""
        lines = [f"{self.message_count:,} messages in {self.seconds:.0f} s"]
        if self.overflow_count:
            lines.append(f"dropped because they came too fast: {self.overflow_count:,} messages")
        for name, counts in (("values", self._values), ("readings", self._readings)):
            if counts:
                shown = ", ".join(f"{outcome} {count:,}" for outcome, count in counts.most_common())
                lines.append(f"{name}: {shown}")
        return "\n".join([*lines, *self._describe_groups(), *self._describe_reasons()])

    def _count_features(self, group: str, features: slice | int) -> None:
        if group in self._counts_by_group or len(self._counts_by_group) < _MAX_GROUPS:
            self._counts_by_group[group][features] += 1

    def _describe_groups(self) -> list[str]:
        """Return a line for each group, those that lack a feature first."""
        complete = {group: bool(counts.all()) for group, counts in self._counts_by_group.items()}
        lines = [f"groups: {len(complete):,}, of which {sum(complete.values()):,} have all features"]
        if not complete:
            return []
        for group in sorted(complete, key=lambda group: (complete[group], group))[:_MAX_SHOWN_GROUPS]:
            counts = self._counts_by_group[group].tolist()
            there = [f"{name} {count:,}" for name, count in zip(self._features, counts, strict=True) if count]
            missing = [name for name, count in zip(self._features, counts, strict=True) if not count]
            text = f"; missing: {', '.join(missing)}" if missing else ""
            lines.append(f"  {printable(group)}: {', '.join(there)}{text}")
        if len(complete) > _MAX_SHOWN_GROUPS:
            lines.append(f"  and {len(complete) - _MAX_SHOWN_GROUPS:,} more")
        return lines

    def _describe_reasons(self) -> list[str]:
        """Return the reasons, the most common first, each with an example."""
        lines = ["reasons, the most common first:"] if self._reasons else []
        for key, count in self._reasons.most_common(_MAX_SHOWN_REASONS):
            example = self._examples[key]
            shown = printable(f"{example.source}: {example.reason}")
            lines.append(f"  {count:,} x {example.outcome}, such as {shown}")
        if len(self._reasons) > _MAX_SHOWN_REASONS:
            lines.append(f"  and {len(self._reasons) - _MAX_SHOWN_REASONS} more")
        return lines
