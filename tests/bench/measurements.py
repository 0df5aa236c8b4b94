"""Measurements of one round, and their summary over several rounds."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

__all__ = ["Measurement", "MeasurementKey", "Summary", "format_number", "summarize", "table_lines", "to_json"]

MeasurementKey = tuple[str, str]
"""Subject and quantity."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement of one round."""

    subject: str
    quantity: str
    """What was measured, with its unit."""
    value: float
    reference: MeasurementKey | None = None
    """The measurement of the same round that the value is divided by for the ratio."""

    @property
    def key(self) -> MeasurementKey:
        """Return what identifies the same measurement in other rounds."""
        return self.subject, self.quantity


@dataclass(frozen=True, slots=True)
class Summary:
    """One quantity of one subject over all rounds."""

    subject: str
    quantity: str
    values: list[float]
    """One value for each round."""
    reference: str
    """The subject that it is compared with; "" for none."""
    ratios: list[float]
    """Value divided by the reference's value, one for each round; empty if the reference wasn't measured."""


def summarize(rounds: Sequence[Sequence[Measurement]]) -> dict[MeasurementKey, Summary]:
    """Return the summary of each quantity, in the order in which they were first measured."""
    summaries: dict[MeasurementKey, Summary] = {}
    for measurements in rounds:
        values = {measurement.key: measurement.value for measurement in measurements}
        for measurement in measurements:
            reference = measurement.reference[0] if measurement.reference else ""
            new_summary = Summary(measurement.subject, measurement.quantity, [], reference, [])
            summary = summaries.setdefault(measurement.key, new_summary)
            summary.values.append(measurement.value)
            reference_value = values.get(measurement.reference) if measurement.reference else None
            if reference_value:
                summary.ratios.append(measurement.value / reference_value)
    return summaries


def table_lines(summaries: Iterable[Summary]) -> list[str]:
    """Return the lines of a Markdown table, without quantities that were 0 in every round."""
    rows: list[tuple[str, ...]] = [
        ("subject", "figure", "median", "range", "ratio", "range", "to"),
        ("---", "---", *["---:"] * 4, "---"),
    ]
    for summary in summaries:
        if not any(summary.values):
            continue  # for example `dropped, %` where nothing was dropped
        reference = summary.reference if summary.ratios else ""
        rows.append(
            (
                summary.subject,
                summary.quantity,
                *_format_spread(summary.values),
                *_format_spread(summary.ratios),
                reference,
            )
        )
    return [f"| {' | '.join(row)} |" for row in rows]


def to_json(summaries: Iterable[Summary], **extra: Any) -> str:
    """Return all summaries as JSON, with further keys beside them."""
    return json.dumps({**extra, "figures": [asdict(s) for s in summaries]}, indent=1)


def format_number(value: float) -> str:
    """Return a number with two or three significant digits."""
    magnitude = abs(value)
    if magnitude < 0.1:
        return f"{value:.2g}"
    return f"{value:,.{0 if magnitude >= 100 else 1 if magnitude >= 10 else 2}f}"


def _format_spread(values: list[float]) -> tuple[str, str]:
    if not values:
        return "", ""
    return format_number(median(values)), f"{format_number(min(values))} to {format_number(max(values))}"
