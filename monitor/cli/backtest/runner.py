"""Runs the daemon's scoring on a recording, without a broker and without regard to the current time."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice, repeat
from pathlib import Path
from typing import IO, Any

import numpy as np

from monitor.bundle import Bundle
from monitor.cli.backtest.proposal import Proposal
from monitor.cli.backtest.reading_assembler import ReadingAssembler
from monitor.cli.backtest.report import Report
from monitor.cli.backtest.value_batches import ValueBatches
from monitor.config.settings import AlertSettings, Settings
from monitor.core.atomic_write import atomic_file
from monitor.core.errors import InvalidInputError, OperationError
from monitor.core.readings import Outcome, Readings
from monitor.core.verdicts import FAULTY, NORMAL, Detector
from monitor.detect.pace import Pace
from monitor.detect.scoring import ScoredBatch, Scoring
from monitor.groups.state import GroupStates
from monitor.publish.payloads import alert_payload
from monitor.recordings.csv_text import to_csv
from monitor.recordings.reader import Recording, RecordingRow
from monitor.recordings.values import ValueRecording
from monitor.service.settings_to_alignment import adapt_bundle
from monitor.service.settings_to_recordings import adapt_to_values, complete_templates
from monitor.service.settings_to_stages import build_scoring, choose_max_gap, choose_stale_after

__all__ = ["backtest"]

COLUMNS = ("ts", "group", "outcome", "score", "prediction", "out_of_range", "detector", "kind")
_BATCH_SIZE = 4096  # rows


def backtest(
    bundle: Bundle,
    settings: Settings,
    recording: Recording | ValueRecording,
    out: Path,
    alerts_out: Path | None,
    proposed_alerts: AlertSettings | None = None,
) -> Report:
    """Judge a recording and write the results.

    Parameters
    ----------
    recording : readings, or single values, which are aligned into readings first.
    out : CSV file with the processing outcome, score and prediction of each reading, in the recording's
        order.
    alerts_out : file for the alert events as JSON lines; None: no such file is written.
    proposed_alerts : alternative alert settings, compared in the report only; the outputs always use
        `settings.alerts`.

    Raises
    ------
    InvalidInputError : the recording can't be read, two of the files are the same, or the proposed settings
        are inconsistent.
    OperationError : an output can't be written.
    """
    _check_paths(recording.path, out, alerts_out)
    alignment = None
    if isinstance(recording, ValueRecording):
        settings, bundle, alignment = adapt_to_values(settings, bundle)
    else:
        settings, bundle = adapt_bundle(settings, bundle)
    feature_names = bundle.manifest.feature_names
    scoring = build_scoring(bundle, settings.windows, settings.alerts, checks=settings.checks)
    report = Report(
        pace=Pace(bundle.manifest.steps),
        max_gap=choose_max_gap(settings.windows, bundle.manifest.sample_period),
    )
    if proposed_alerts:
        report.proposal = Proposal(settings.alerts, proposed_alerts, bundle.manifest.threshold)
    values = None
    if isinstance(recording, ValueRecording):
        assembler = ReadingAssembler(complete_templates(settings, feature_names), len(feature_names))
        stale_after = choose_stale_after(settings.windows, bundle.manifest.sample_period)
        groups = GroupStates(scoring, stale_after, alignment)
        values = ValueBatches(recording, feature_names, groups, alignment, assembler)
        batches = values.judge()
    else:
        report.ignored_columns = [name for name in recording.features if name not in feature_names]
        batches = _judge_readings(recording, scoring, feature_names)
    with ExitStack() as stack:
        results_file = stack.enter_context(_open_atomically(out))
        results_file.write(to_csv([COLUMNS]))
        alerts_file = stack.enter_context(_open_atomically(alerts_out)) if alerts_out else None
        for batch, scored in batches:
            results_file.write(to_csv(_output_rows(batch, scored)))
            for event in scored.events:
                if alerts_file:
                    alerts_file.write(alert_payload(event, bundle.manifest).decode() + "\n")
            report.add(batch, scored)
    if values is not None:
        report.add_values(values)
    report.add_shows_from(bundle.manifest.features, scoring.shows_from_by_row())
    return report


def _judge_readings(
    recording: Recording, scoring: Scoring, feature_names: Sequence[str]
) -> Iterator[tuple[list[RecordingRow], ScoredBatch]]:
    """Yield the rows of a recording with what the stages say of those that can be judged."""
    rows = recording.rows(feature_names)
    while batch := list(islice(rows, _BATCH_SIZE)):
        valid_rows = [row for row in batch if not row.problem]
        yield batch, scoring.judge(_to_readings(valid_rows, len(feature_names)))


def _check_paths(recording: Path, out: Path, alerts_out: Path | None) -> None:
    """Raise an error if two of the paths are the same file."""
    paths = [
        ("--recording", recording),
        ("--out", out),
        *([("--alerts-out", alerts_out)] if alerts_out else []),
    ]
    for index, (name, path) in enumerate(paths):
        for other_name, other_path in paths[:index]:
            if path.resolve() == other_path.resolve():
                raise InvalidInputError(
                    f"{name}: {path} is the same file as {other_name}; expected a different file"
                )


@contextmanager
def _open_atomically(path: Path) -> Iterator[IO[str]]:
    """Open a temporary file for writing; it replaces `path` when it has been written completely."""
    try:
        with (
            atomic_file(path) as temporary_path,
            temporary_path.open("w", newline="", encoding="utf-8") as file,
        ):
            yield file
    except OSError as error:
        raise OperationError(f"{path.resolve()}: can't be written: {error.strerror}") from error


def _to_readings(rows: list[RecordingRow], feature_count: int) -> Readings:
    """Convert valid rows to readings.

    Their arrival time is infinity, so that the check for timestamps in the future never rejects a reading.
    """
    return Readings(
        groups=[row.group for row in rows],
        ts=np.array([row.ts for row in rows], dtype=np.float64),
        values=np.array([row.values for row in rows], dtype=np.float64).reshape(len(rows), feature_count),
        arrived_at=np.full(len(rows), np.inf),
        arrived_monotonic=np.zeros(len(rows)),
        redelivered=np.zeros(len(rows), dtype=np.bool_),
    )


def _output_rows(batch: Iterable[RecordingRow], scored: ScoredBatch) -> Iterator[tuple[Any, ...]]:
    """Yield a row of the output file for each row of the recording."""
    outcomes = iter(scored.windows.outcomes)  # outcomes exist only for valid rows, in the same order
    judged = scored.judged_windows
    kinds = map(scored.kinds.get, range(len(judged.groups)), repeat(""))
    results = zip(
        judged.scores.tolist(), judged.out_of_range.tolist(), judged.detectors.tolist(), kinds, strict=True
    )
    for row in batch:
        outcome = Outcome.MALFORMED if row.problem else next(outcomes)
        if outcome is not Outcome.JUDGED:
            yield row.ts_text, row.group, outcome.value, "", "", "", "", ""
            continue
        score, out_of_range, detector, kind = next(results)
        yield (
            row.ts_text,
            row.group,
            outcome.value,
            "" if math.isnan(score) else score,
            FAULTY if detector else NORMAL,
            str(out_of_range).lower(),
            Detector(detector).label,
            kind,
        )
