"""Judges a recording with the daemon's own stages: no broker, no clock."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from monitor.bundle import Bundle
from monitor.cli.proposal import Proposal
from monitor.config.settings import AlertSettings, Settings
from monitor.core.errors import InvalidInputError, OperationError
from monitor.core.readings import Outcome, Readings
from monitor.core.verdicts import FAULTY, NORMAL
from monitor.detect.scoring import ScoredBatch
from monitor.publish.payloads import alert_payload
from monitor.recordings.reader import Recording, RecordingRow
from monitor.service.stages import build_scoring

__all__ = ["Report", "backtest"]

COLUMNS = ("ts", "group", "outcome", "score", "prediction", "out_of_range")
_BATCH_SIZE = 4096
_DAY_S = 86400.0  # seconds


@dataclass(slots=True)
class Report:
    """What a recording held."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    predictions: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    """Alert events by status."""
    first_problem: str = ""
    """What is wrong with the first reading that can't be judged."""
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Group -> first and last event time, seconds since the Unix epoch."""
    repeat_count: int = 0
    """Firing events of incidents that were published before."""
    proposal: Proposal | None = None
    """Other alert settings, where some were proposed."""

    def __str__(self) -> str:
        """Say it in the lines that `sensor-monitor backtest` prints."""
        days = sum(last - first for first, last in self.spans.values()) / _DAY_S
        alerts = self.events["firing"]
        rate = f"{alerts / days:.2f} a day and group" if days > 0 else "too short for a rate"
        over = f"{len(self.spans)} group(s), {days:.2f} group-days"
        again = f", {self.repeat_count:,} of them repeated" if self.repeat_count else ""
        return "\n".join(
            [
                f"readings     {self.outcomes.total():>9,}   {_format_counts(self.outcomes)}",
                *([f"malformed              first: {self.first_problem}"] if self.first_problem else []),
                f"windows      {self.predictions.total():>9,}   {_format_counts(self.predictions)}",
                f"alerts       {alerts:>9,}   {rate} ({over}){again}",
                *(["", self.proposal.format_table(self.spans)] if self.proposal else []),
            ]
        )


def backtest(
    bundle: Bundle,
    settings: Settings,
    recording: Recording,
    out: Path,
    alerts_out: Path | None,
    proposed: AlertSettings | None = None,
) -> Report:
    """Judge a recording; write a row a reading to `out`, and each alert event to `alerts_out` as JSON lines.

    Parameters
    ----------
    proposed : alert settings to compare with those in `settings`, which decide what is written.

    Raises
    ------
    UnusableError : the recording can't be read, an output names it, or the proposed settings make no sense.
    FailedError : an output can't be written.
    """
    _check_paths(recording.path, out, alerts_out)
    scoring = build_scoring(bundle, settings.windows, settings.alerts)
    report = Report()
    if proposed:
        report.proposal = Proposal(settings.alerts, proposed, bundle.manifest.threshold)
    rows = recording.rows(list(bundle.manifest.feature_names))
    with ExitStack() as stack:
        table = csv.writer(stack.enter_context(_open_atomically(out)))
        table.writerow(COLUMNS)
        events = stack.enter_context(_open_atomically(alerts_out)) if alerts_out else None
        while batch := list(islice(rows, _BATCH_SIZE)):
            report.first_problem = report.first_problem or next(
                (row.problem for row in batch if row.problem), ""
            )
            valid_rows = [row for row in batch if not row.problem]
            scored = scoring.judge(_to_readings(valid_rows, len(bundle.manifest.feature_names)))
            table.writerows(_score_rows(batch, scored))
            for event in scored.events:
                if events:
                    events.write(alert_payload(event, bundle.manifest).decode() + "\n")
            _update_report(report, batch, valid_rows, scored)
    return report


def _check_paths(recording: Path, out: Path, alerts_out: Path | None) -> None:
    """Refuse to write over what is read, or two things into one file."""
    outputs = [
        ("--recording", recording),
        ("--out", out),
        *([("--alerts-out", alerts_out)] if alerts_out else []),
    ]
    for index, (name, path) in enumerate(outputs):
        for other, earlier in outputs[:index]:
            if path.resolve() == earlier.resolve():
                raise InvalidInputError(
                    f"{name}: {path} is what {other} names too; expected a file of its own"
                )


@contextmanager
def _open_atomically(path: Path) -> Iterator[IO[str]]:
    """Open a file that takes its name when it is whole."""
    path = path.resolve()  # a link stays a link: what it points to is replaced
    temporary = path.with_name(f".{path.name}.part")
    try:
        if path.exists() and not path.is_file():  # a device or a pipe is written to, never replaced
            with path.open("w", newline="", encoding="utf-8") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", newline="", encoding="utf-8") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise OperationError(f"{path}: can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):  # it has its name by now, or never came to be
            temporary.unlink()


def _to_readings(rows: list[RecordingRow], features: int) -> Readings:
    return Readings(
        groups=[row.group for row in rows],
        ts=np.array([row.ts for row in rows], dtype=np.float64),
        values=np.array([row.values for row in rows], dtype=np.float64).reshape(len(rows), features),
        arrived_at=np.full(len(rows), np.inf),
        arrived_monotonic=np.zeros(len(rows)),
        redelivered=np.zeros(len(rows), dtype=np.bool_),
    )


def _score_rows(batch: Iterable[RecordingRow], scored: ScoredBatch) -> Iterator[tuple[Any, ...]]:
    """Yield a line of the score table for each row."""
    outcomes = iter(scored.windows.outcomes)
    judged = scored.judged_windows
    windows = zip(judged.scores.tolist(), judged.faulty.tolist(), judged.out_of_range.tolist(), strict=True)
    for row in batch:
        if row.problem:
            yield row.ts_text, row.group, Outcome.MALFORMED.value, "", "", ""
            continue
        outcome = next(outcomes)
        if outcome is not Outcome.JUDGED:
            yield row.ts_text, row.group, outcome.value, "", "", ""
            continue
        score, faulty, far = next(windows)
        yield row.ts_text, row.group, outcome.value, score, FAULTY if faulty else NORMAL, str(far).lower()


def _update_report(
    report: Report, batch: list[RecordingRow], valid_rows: list[RecordingRow], scored: ScoredBatch
) -> None:
    report.outcomes.update(scored.windows.outcomes)
    report.outcomes[Outcome.MALFORMED] += len(batch) - len(valid_rows)
    faulty = int(np.count_nonzero(scored.judged_windows.faulty))
    report.predictions.update({FAULTY: faulty, NORMAL: len(scored.judged_windows.faulty) - faulty})
    report.events.update(event.status for event in scored.events)
    report.repeat_count += sum(event.repeat > 0 for event in scored.events)
    if report.proposal:
        report.proposal.add(scored)
    for row in valid_rows:
        assert row.ts is not None  # noqa: S101, `valid_rows` has only such
        first, last = report.spans.get(row.group, (row.ts, row.ts))
        report.spans[row.group] = min(first, row.ts), max(last, row.ts)


def _format_counts(counts: Counter[Any]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common() if count)
