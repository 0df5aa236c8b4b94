"""Results of several classifiers on the same test set, JSON-serialisable and as a Markdown table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from training.evaluate.window_metrics import WindowMetrics

__all__ = ["ClassifierResult", "ComparisonTable"]


@dataclass(frozen=True, slots=True)
class ClassifierResult:
    """Metrics and speed of one classifier on the test set."""

    name: str
    settings: str
    """The settings that were selected on the validation set."""
    candidates: int
    """Number of candidates from which the settings were selected."""
    quality: WindowMetrics
    false_alarms_a_day: float
    """Incidents that began on a Normal window, per group and day of evaluated windows. A classifier that
    predicts Faulty for nearly all windows has few, because its incident is never closed; use
    `quality.false_share` in addition."""
    seconds_per_million: float
    """Seconds to score a million windows on one thread."""


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """The results of all classifiers on one split."""

    split: str
    """`time` or `random`."""
    results: tuple[ClassifierResult, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the results as a JSON-serialisable dict."""
        return {"split": self.split, "standings": [asdict(result) for result in self.results]}

    def __str__(self) -> str:
        """Format the results as a Markdown table, which is also readable on a terminal."""
        kinds = sorted({kind for result in self.results for kind in result.quality.recall_by_kind})
        header = [
            "split " + self.split,
            "F1",
            "MCC",
            *kinds,
            "Normal called Faulty",
            "false alarms/day",
            "s per million",
        ]
        rows = [
            [
                result.name,
                _format_share(result.quality.f1),
                _format_share(result.quality.mcc),
                *(_format_share(result.quality.recall_by_kind.get(kind)) for kind in kinds),
                _format_share(result.quality.false_share),
                f"{result.false_alarms_a_day:.1f}",
                f"{result.seconds_per_million:.2f}",
            ]
            for result in self.results
        ]
        return _markdown_table(header, rows)


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with the first column aligned left, all others right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| " + " | ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]) + " |"
        for cells in (header, rule, *rows)
    )


def _format_share(share: float | None) -> str:
    return "none" if share is None else f"{share:.3f}"
