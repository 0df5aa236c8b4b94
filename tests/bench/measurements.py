"""Figures, and what several rounds of them come to."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

__all__ = ["Figure", "Key", "Summary", "number", "summarize", "table", "to_json"]

Key = tuple[str, str]
"""Subject and quantity."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement of one round."""

    subject: str
    quantity: str
    """With its unit."""
    value: float
    against: Key | None = None
    """The figure of the same round that it is divided by."""

    @property
    def key(self) -> Key:
        """Return what it has in common with the same figure of another round."""
        return self.subject, self.quantity


@dataclass(frozen=True, slots=True)
class Summary:
    """A figure of all rounds."""

    subject: str
    quantity: str
    values: list[float]
    """A round each."""
    against: str
    """The subject that it is compared with."""
    ratios: list[float]
    """To the figure that it is compared with, a round each; empty where that wasn't measured."""


def summarize(rounds: Sequence[Sequence[Figure]]) -> dict[Key, Summary]:
    """Return each figure in all rounds, in the order in which they were first measured."""
    summaries: dict[Key, Summary] = {}
    for figures in rounds:
        values = {figure.key: figure.value for figure in figures}
        for figure in figures:
            against = figure.against[0] if figure.against else ""
            empty = Summary(figure.subject, figure.quantity, [], against, [])
            summary = summaries.setdefault(figure.key, empty)
            summary.values.append(figure.value)
            base = values.get(figure.against) if figure.against else None
            if base:
                summary.ratios.append(figure.value / base)
    return summaries


def table(summaries: Iterable[Summary]) -> list[str]:
    """Return the lines of a table in Markdown; what was 0 in every round isn't in it."""
    rows: list[tuple[str, ...]] = [
        ("subject", "figure", "median", "range", "ratio", "range", "to"),
        ("---", "---", *["---:"] * 4, "---"),
    ]
    for s in summaries:
        if not any(s.values):
            continue  # such as what was dropped, where nothing was
        against = s.against if s.ratios else ""
        rows.append((s.subject, s.quantity, *_spread(s.values), *_spread(s.ratios), against))
    return [f"| {' | '.join(row)} |" for row in rows]


def to_json(summaries: Iterable[Summary], **more: Any) -> str:
    """Return everything, for programs."""
    return json.dumps({**more, "figures": [asdict(s) for s in summaries]}, indent=1)


def number(value: float) -> str:
    """Return a figure with two or three digits that count."""
    size = abs(value)
    if size < 0.1:
        return f"{value:.2g}"
    return f"{value:,.{0 if size >= 100 else 1 if size >= 10 else 2}f}"


def _spread(values: list[float]) -> tuple[str, str]:
    if not values:
        return "", ""
    return number(median(values)), f"{number(min(values))} to {number(max(values))}"
