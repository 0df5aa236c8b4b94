"""Results of several classifiers on the same windows, as plain values and as a Markdown table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from training.evaluate.window_metrics import WindowMetrics

__all__ = ["ClassifierResult", "ComparisonTable"]


@dataclass(frozen=True, slots=True)
class ClassifierResult:
    """Quality and speed of one classifier on the test part."""

    name: str
    settings: str
    """The settings that were chosen on the validation part."""
    candidates: int
    """Number of settings that were tried."""
    quality: WindowMetrics
    false_alarms_a_day: float
    """Incidents that began on a healthy window, per day and group of judged time. A classifier that calls
    nearly all windows Faulty has few, because its one incident never ends: read it together with
    `quality.false_share`."""
    seconds_per_million: float
    """Seconds to score a million windows on one thread."""


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """All classifiers on one split."""

    split: str
    """`time` or `random`."""
    results: tuple[ClassifierResult, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain values."""
        return {"split": self.split, "standings": [asdict(result) for result in self.results]}

    def __str__(self) -> str:
        """Format as a Markdown table, which is readable on a terminal too."""
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
    """Return a table whose first column is aligned left and the others right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| " + " | ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]) + " |"
        for cells in (header, rule, *rows)
    )


def _format_share(share: float | None) -> str:
    return "none" if share is None else f"{share:.3f}"
