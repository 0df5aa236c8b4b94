"""Figures, and what several rounds of them come to."""

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
    """With its unit."""
    value: float
    reference: MeasurementKey | None = None
    """The figure of the same round that it is divided by."""

    @property
    def key(self) -> MeasurementKey:
        """Return what it has in common with the same figure of another round."""
        return self.subject, self.quantity


@dataclass(frozen=True, slots=True)
class Summary:
    """A figure of all rounds."""

    subject: str
    quantity: str
    values: list[float]
    """A round each."""
    reference: str
    """The subject that it is compared with."""
    ratios: list[float]
    """To the figure that it is compared with, a round each; empty where that wasn't measured."""


def summarize(rounds: Sequence[Sequence[Measurement]]) -> dict[MeasurementKey, Summary]:
    """Return each figure in all rounds, in the order in which they were first measured."""
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
    """Return the lines of a table in Markdown; what was 0 in every round isn't in it."""
    rows: list[tuple[str, ...]] = [
        ("subject", "figure", "median", "range", "ratio", "range", "to"),
        ("---", "---", *["---:"] * 4, "---"),
    ]
    for summary in summaries:
        if not any(summary.values):
            continue  # such as what was dropped, where nothing was
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
    """Return everything, for programs."""
    return json.dumps({**extra, "figures": [asdict(s) for s in summaries]}, indent=1)


def format_number(value: float) -> str:
    """Return a figure with two or three digits that count."""
    magnitude = abs(value)
    if magnitude < 0.1:
        return f"{value:.2g}"
    return f"{value:,.{0 if magnitude >= 100 else 1 if magnitude >= 10 else 2}f}"


def _format_spread(values: list[float]) -> tuple[str, str]:
    if not values:
        return "", ""
    return format_number(median(values)), f"{format_number(min(values))} to {format_number(max(values))}"
