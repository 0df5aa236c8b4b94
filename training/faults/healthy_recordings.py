"""Makes labelled training data from recordings of a healthy plant, and reports suspicious readings."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from monitor.bundle import Feature
from monitor.core.errors import InvalidInputError
from monitor.core.printable import printable
from training.data import dataset, recordings
from training.faults import suspects
from training.faults.fault_kinds import FAULT_KINDS
from training.faults.inject import inject_visible
from training.faults.suspects import SuspiciousStretch

__all__ = ["FAULT_RATE", "HealthyRecordings", "format_summary", "format_suspicious_rows", "inject_copies"]

FAULT_RATE = 0.3
"""Share of faulty readings in the copies. The same as the default of `sensor-training inject`, which
therefore makes the same files with the same seeds."""

# Copies with different faults are made until they have this many readings in total, but at most `_MAX_COPIES`
# of each recording.
_TARGET_READINGS = 10_000
_MAX_COPIES = 10

# Number of suspicious stretches in the summary and in the report.
_MAX_ROWS = 10
# Half an hour at 5 s: enough for a few faults of each kind in each group and in each of the three sets.
_MIN_GROUP_READINGS = 360
# A day, with half an hour of tolerance.
_FULL_DAY_S = 23.5 * 3600
_HOUR_S = 3600.0
# A recording of at least this many hours has its length in days.
_HOURS_SHOWN = 48


@dataclass(frozen=True, slots=True, eq=False)
class HealthyRecordings:
    """Recordings that are assumed to be healthy, their copies with faults, and their suspicious stretches."""

    paths: tuple[Path, ...]
    """The original recordings."""
    features: tuple[Feature, ...]
    """The features of the recordings."""
    frames: tuple[pd.DataFrame, ...]
    """The original recordings, without the readings that lack a value."""
    injected_paths: tuple[Path, ...]
    """Copies with injected faults, in a temporary folder: all recordings with seed 0, then all with seed 1,
    ..."""
    incomplete_count: int
    """Number of readings that lack a value."""
    sample_period: float
    """Seconds between two readings of a group; the longest of all recordings."""
    suspicious_stretches: tuple[SuspiciousStretch, ...]
    """Stretches of readings that look like faults, in descending order of severity."""
    suspicious_count: int
    """Number of readings in suspicious stretches; a reading in several of them counts once."""
    hidden_faults: Mapping[tuple[str, str], int]
    """Faults that were left out, because they would not show: (group, kind) -> number in all copies."""
    injected_kinds: tuple[str, ...]
    """The fault kinds in the copies."""
    shortest_group: tuple[str, int]
    """Name and number of readings of the group with the fewest readings."""
    hours: float
    """Hours from the first to the last reading of the longest recording."""

    @property
    def names(self) -> list[Path]:
        """The recording that each of the copies is made of."""
        return [*self.paths] * self.copies_per_recording

    @property
    def reading_count(self) -> int:
        """Number of readings in all recordings."""
        return sum(map(len, self.frames))

    @property
    def copies_per_recording(self) -> int:
        """Number of copies of each recording."""
        return len(self.injected_paths) // len(self.paths)

    @property
    def suspicious_share(self) -> float:
        """Share of the readings that are in a suspicious stretch."""
        return self.suspicious_count / self.reading_count

    @property
    def has_full_day(self) -> bool:
        """Whether some recording is at least a day long."""
        return self.hours * _HOUR_S >= _FULL_DAY_S

    @property
    def duration(self) -> str:
        """Length of the longest recording, as text."""
        return f"{self.hours:.2g} h" if self.hours < _HOURS_SHOWN else f"{self.hours / 24:.3g} days"

    def notes(self) -> list[str]:
        """Return the warnings for users of a model that was trained on these recordings."""
        notes = []
        group, count = self.shortest_group
        if count < _MIN_GROUP_READINGS:
            hours = _MIN_GROUP_READINGS * self.sample_period / _HOUR_S
            notes.append(
                f"The recording is too short: group {printable(group)} has {count:,} readings, expected at "
                f"least {_MIN_GROUP_READINGS} of each group ({hours:.2g} h at {self.sample_period:g} s)."
            )
        if not self.has_full_day:
            notes.append(
                f"It is {self.hours:.2g} h of a day's 24: what the plant does at other hours isn't known."
            )
        if self.suspicious_stretches:
            notes.append(
                f"It may hold faults already: {len(self.suspicious_stretches)} stretches "
                f"({self.suspicious_share:.2%} of the readings) look like some, and the model learnt that "
                "they are Normal. Look at them; where they are faults, cut them out and fit again."
            )
        notes += [
            f"{count:,} faults of kind {kind} were left out in group {printable(group)}: against its "
            "readings there they would not show."
            + ("" if kind in self.injected_kinds else f" So the model has learnt no fault of kind {kind}.")
            for (group, kind), count in sorted(self.hidden_faults.items())
        ]
        if self.incomplete_count:
            notes.append(f"{self.incomplete_count:,} readings without a value in each feature were left out.")
        return notes

    def as_dict(self) -> dict[str, object]:
        """Return the figures as a JSON-serialisable dict, for the manifest."""
        return {
            "rate": FAULT_RATE,
            "copies": self.copies_per_recording,
            "kinds": list(self.injected_kinds),
            "hours": round(self.hours, 3),
            "fewest_readings_of_a_group": self.shortest_group[1],
            "suspicious_stretches": len(self.suspicious_stretches),
            "suspicious_share": self.suspicious_share,
        }


@contextmanager
def inject_copies(paths: Sequence[Path], features: Sequence[Feature]) -> Iterator[HealthyRecordings]:
    """Read the recordings, and write copies with faults of all kinds; the copies are deleted on exit.

    Raises
    ------
    InvalidInputError : a recording cannot be read, has a Faulty label, is too short to inject faults, or has
        no reading with a value of each feature.
    """
    names = [feature.name for feature in features]
    loaded = [recordings.read(path, names) for path in paths]
    for path, frame in zip(paths, loaded, strict=True):
        recordings.check_complete(path, frame, names)
    frames = tuple(frame[recordings.complete_mask(frame, names)].reset_index(drop=True) for frame in loaded)
    readings = sum(map(len, frames))
    copies = min(_MAX_COPIES, math.ceil(_TARGET_READINGS / max(1, readings)))
    with TemporaryDirectory(prefix="sensor-training-") as folder:
        injected_paths = []
        hidden: Counter[tuple[str, str]] = Counter()
        injected_kinds: set[str] = set()
        for seed in range(copies):
            for number, (path, frame) in enumerate(zip(paths, frames, strict=True)):
                copy_path = Path(folder) / str(number) / f"{path.stem}.seed{seed}{path.suffix}"
                try:
                    faulty_frame, hidden_here = inject_visible(
                        frame, features, FAULT_RATE, seed, tuple(FAULT_KINDS)
                    )
                except InvalidInputError as error:
                    raise InvalidInputError(f"{path}: {error}") from error
                recordings.write(faulty_frame, copy_path)
                hidden += hidden_here
                injected_kinds |= set(faulty_frame["kind"])
                injected_paths.append(copy_path)
        counts = pd.concat([frame["group"].value_counts() for frame in frames])
        suspicious_by_frame = [suspects.find_suspicious(frame, features) for frame in frames]
        suspicious = [stretch for stretches in suspicious_by_frame for stretch in stretches]
        yield HealthyRecordings(
            paths=tuple(paths),
            features=tuple(features),
            frames=frames,
            injected_paths=tuple(injected_paths),
            incomplete_count=sum(map(len, loaded)) - readings,
            sample_period=max(dataset.compute_sample_period([frame]) for frame in frames),
            suspicious_stretches=tuple(sorted(suspicious, key=lambda stretch: -stretch.severity)),
            suspicious_count=sum(map(_count_readings, frames, suspicious_by_frame)),
            hidden_faults=dict(hidden),
            injected_kinds=tuple(kind for kind in FAULT_KINDS if kind in injected_kinds),
            shortest_group=(str(counts.idxmin()), int(counts.min())),
            hours=max(float(frame["ts"].max() - frame["ts"].min()) for frame in frames) / _HOUR_S,
        )


def format_summary(healthy: HealthyRecordings) -> str:
    """Return a summary for the console: length, copies, notes and suspicious stretches."""
    length = f"{healthy.reading_count:,} readings of {healthy.duration} in {len(healthy.paths)} recording(s)"
    copies = f"{healthy.copies_per_recording} copies of each"
    lines = [f"healthy: {length}; faults were put into {FAULT_RATE:.0%} of {copies}"]
    lines += [f"note: {note}" for note in healthy.notes()]
    lines += ["  " + "  ".join(row) for row in format_suspicious_rows(healthy)]
    hidden_count = len(healthy.suspicious_stretches) - _MAX_ROWS
    return "\n".join([*lines, *([f"  and {hidden_count} more"] if hidden_count > 0 else [])])


def format_suspicious_rows(healthy: HealthyRecordings) -> list[tuple[str, ...]]:
    """Return rows for the ten most severe stretches: group, start, end, feature, readings, reason."""
    return [
        (
            stretch.group,
            _format_ts(stretch.start_ts),
            _format_ts(stretch.end_ts),
            stretch.feature,
            f"{stretch.reading_count:,}",
            stretch.reason,
        )
        for stretch in healthy.suspicious_stretches[:_MAX_ROWS]
    ]


def _count_readings(frame: pd.DataFrame, stretches: Sequence[SuspiciousStretch]) -> int:
    """Return the number of readings of a recording that are in at least one of its stretches."""
    groups, ts = frame["group"].to_numpy(), frame["ts"].to_numpy()
    is_suspicious = np.zeros(len(frame), dtype=np.bool_)  # (reading,)
    for stretch in stretches:
        is_suspicious |= (groups == stretch.group) & (ts >= stretch.start_ts) & (ts <= stretch.end_ts)
    return int(is_suspicious.sum())


def _format_ts(ts: float) -> str:
    """Format an event time in UTC for display."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%S")
