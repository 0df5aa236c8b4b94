"""Results of several classifiers on the same test set, JSON-serialisable and as a Markdown table."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from training.evaluate.window_metrics import WindowMetrics

__all__ = ["MAX_WIDTH", "ClassifierResult", "ComparisonTable"]

MAX_WIDTH = 100
"""Maximum number of columns of a table on a terminal."""

_UNITS = (
    "recall of a kind: share of the windows whose last reading has it; false: share of Normal windows\n"
    "called Faulty; {alarms}s/million: seconds to score a million windows on one thread"
)
_ALARM_UNITS = "alarms/day: false alarms per group and day;\n"


@dataclass(frozen=True, slots=True)
class ClassifierResult:
    """Metrics and speed of one classifier on the test set."""

    name: str
    settings: str
    """The settings that were selected on the validation set."""
    candidates: int
    """Number of candidates from which the settings were selected."""
    quality: WindowMetrics
    false_alarms_a_day: float | None
    """Incidents that began on a Normal window, per group and day of evaluated windows. A classifier that
    predicts Faulty for nearly all windows has few, because its incident is never closed; use
    `quality.false_share` in addition. None for a random split, in which incidents mean nothing."""
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
        """Format the results as Markdown tables of at most 100 columns, readable on a terminal too."""
        has_alarms = any(result.false_alarms_a_day is not None for result in self.results)
        header = ["split " + self.split, "F1", "MCC", "false", *(["alarms/day"] if has_alarms else [])]
        rows = [
            [
                result.name,
                _format_share(result.quality.f1),
                _format_share(result.quality.mcc),
                _format_share(result.quality.false_share),
                *([f"{result.false_alarms_a_day:.1f}"] if result.false_alarms_a_day is not None else []),
                f"{result.seconds_per_million:.2f}",
            ]
            for result in self.results
        ]
        units = _UNITS.format(alarms=_ALARM_UNITS if has_alarms else "")
        return "\n\n".join([_markdown_table([*header, "s/million"], rows), *self._recall_tables(), units])

    def _recall_tables(self) -> Iterator[str]:
        """Yield a table of the recall of each kind, in as many parts as the width requires."""
        kinds = sorted({kind for result in self.results for kind in result.quality.recall_by_kind})
        columns = [
            (kind, [_format_share(result.quality.recall_by_kind.get(kind)) for result in self.results])
            for kind in kinds
        ]
        part: list[tuple[str, list[str]]] = []
        for column in columns:
            if part and len(self._recall_table([*part, column]).partition("\n")[0]) > MAX_WIDTH:
                yield self._recall_table(part)
                part = []
            part.append(column)
        if part:
            yield self._recall_table(part)

    def _recall_table(self, columns: Sequence[tuple[str, Sequence[str]]]) -> str:
        rows = [
            [result.name, *(cells[row] for _, cells in columns)] for row, result in enumerate(self.results)
        ]
        return _markdown_table([f"recall, split {self.split}", *(kind for kind, _ in columns)], rows)


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
