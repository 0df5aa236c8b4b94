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
from monitor.config.settings import Alerts, Settings
from monitor.core.errors import FailedError, UnusableError
from monitor.core.readings import Outcome, Readings
from monitor.core.verdicts import FAULTY, NORMAL
from monitor.detect.scoring import Verdicts
from monitor.publish.payloads import alert_payload
from monitor.recordings.reader import Recording, Row
from monitor.service.stages import build_scoring

__all__ = ["Report", "backtest"]

COLUMNS = ("ts", "group", "outcome", "score", "prediction", "out_of_range")
_BATCH = 4096
_DAY = 86400.0  # seconds


@dataclass(slots=True)
class Report:
    """What a recording held."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    predictions: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    """Alert events by status."""
    malformed: str = ""
    """What is wrong with the first reading that can't be judged."""
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Group -> first and last event time, seconds since the Unix epoch."""
    repeated: int = 0
    """Firing events of incidents that were published before."""
    proposal: Proposal | None = None
    """Other alert settings, where some were proposed."""

    def __str__(self) -> str:
        """Say it in the lines that `sensor-monitor backtest` prints."""
        days = sum(last - first for first, last in self.spans.values()) / _DAY
        alerts = self.events["firing"]
        rate = f"{alerts / days:.2f} a day and group" if days > 0 else "too short for a rate"
        over = f"{len(self.spans)} group(s), {days:.2f} group-days"
        again = f", {self.repeated:,} of them repeated" if self.repeated else ""
        return "\n".join(
            [
                f"readings     {self.outcomes.total():>9,}   {_list(self.outcomes)}",
                *([f"malformed              first: {self.malformed}"] if self.malformed else []),
                f"windows      {self.predictions.total():>9,}   {_list(self.predictions)}",
                f"alerts       {alerts:>9,}   {rate} ({over}){again}",
                *(["", self.proposal.table(self.spans)] if self.proposal else []),
            ]
        )


def backtest(
    bundle: Bundle,
    settings: Settings,
    recording: Recording,
    out: Path,
    alerts_out: Path | None,
    proposed: Alerts | None = None,
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
    chain = build_scoring(bundle, settings.windows, settings.alerts)
    report = Report()
    if proposed:
        report.proposal = Proposal(settings.alerts, proposed, bundle.manifest.threshold)
    rows = recording.rows(list(bundle.manifest.names))
    with ExitStack() as stack:
        table = csv.writer(stack.enter_context(_draft(out)))
        table.writerow(COLUMNS)
        events = stack.enter_context(_draft(alerts_out)) if alerts_out else None
        while batch := list(islice(rows, _BATCH)):
            report.malformed = report.malformed or next((row.problem for row in batch if row.problem), "")
            good = [row for row in batch if not row.problem]
            verdicts = chain.judge(_readings(good, len(bundle.manifest.names)))
            table.writerows(_table(batch, verdicts))
            for event in verdicts.events:
                if events:
                    events.write(alert_payload(event, bundle.manifest).decode() + "\n")
            _add(report, batch, good, verdicts)
    return report


def _check_paths(recording: Path, out: Path, alerts_out: Path | None) -> None:
    """Refuse to write over what is read, or two things into one file."""
    given = [
        ("--recording", recording),
        ("--out", out),
        *([("--alerts-out", alerts_out)] if alerts_out else []),
    ]
    for index, (name, path) in enumerate(given):
        for other, earlier in given[:index]:
            if path.resolve() == earlier.resolve():
                raise UnusableError(f"{name}: {path} is what {other} names too; expected a file of its own")


@contextmanager
def _draft(path: Path) -> Iterator[IO[str]]:
    """Open a file that takes its name when it is whole."""
    path = path.resolve()  # a link stays a link: what it points to is replaced
    draft = path.with_name(f".{path.name}.part")
    try:
        if path.exists() and not path.is_file():  # a device or a pipe is written to, never replaced
            with path.open("w", newline="", encoding="utf-8") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", newline="", encoding="utf-8") as file:
            yield file
        draft.replace(path)
    except OSError as error:
        raise FailedError(f"{path}: can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):  # it has its name by now, or never came to be
            draft.unlink()


def _readings(rows: list[Row], features: int) -> Readings:
    return Readings(
        groups=[row.group for row in rows],
        ts=np.array([row.ts for row in rows], dtype=np.float64),
        values=np.array([row.values for row in rows], dtype=np.float64).reshape(len(rows), features),
        arrived_at=np.full(len(rows), np.inf),
        received=np.zeros(len(rows)),
        redelivered=np.zeros(len(rows), dtype=np.bool_),
    )


def _table(batch: Iterable[Row], verdicts: Verdicts) -> Iterator[tuple[Any, ...]]:
    """Yield a line of the score table for each row."""
    outcomes = iter(verdicts.windows.outcomes)
    judged = verdicts.judged
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


def _add(report: Report, batch: list[Row], good: list[Row], verdicts: Verdicts) -> None:
    report.outcomes.update(verdicts.windows.outcomes)
    report.outcomes[Outcome.MALFORMED] += len(batch) - len(good)
    faulty = int(np.count_nonzero(verdicts.judged.faulty))
    report.predictions.update({FAULTY: faulty, NORMAL: len(verdicts.judged.faulty) - faulty})
    report.events.update(event.status for event in verdicts.events)
    report.repeated += sum(event.repeat > 0 for event in verdicts.events)
    if report.proposal:
        report.proposal.take(verdicts)
    for row in good:
        assert row.ts is not None  # noqa: S101, `good` has only such
        first, last = report.spans.get(row.group, (row.ts, row.ts))
        report.spans[row.group] = min(first, row.ts), max(last, row.ts)


def _list(counts: Counter[Any]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common() if count)
