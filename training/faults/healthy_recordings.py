"""Recordings of a plant at rest, without labels -> labelled ones to train on, and what to say of them."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from training.config.errors import InputError
from training.data import dataset, recordings
from training.faults import suspects
from training.faults.inject import inject
from training.faults.kinds import KINDS
from training.faults.suspects import Stretch

__all__ = ["RATE", "Healthy", "labelled", "rows", "told"]

RATE = 0.3
"""As `sensor-training inject` has it by default, so that it makes the same files with the same seeds."""

# A short recording is copied with ever other faults until there are so many readings to learn from.
_ENOUGH_READINGS = 10_000
_MOST_COPIES = 10

_MOST_SHOWN = 10
# Half an hour of readings every 5 s: enough for a few faults of each kind on each group in each part.
_WANTED_READINGS = 360
# A day less what a recording may begin too late or end too early.
_DAY_S = 23.5 * 3600
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class Healthy:
    """What was found in recordings that are said to be healthy."""

    paths: tuple[Path, ...]
    """The recordings as they came."""
    frames: tuple[pd.DataFrame, ...]
    """What is in them, without readings that lack a value."""
    injected: tuple[Path, ...]
    """Copies with faults, in a folder that goes when the work is done: each recording with seed 0, then each
    with seed 1, and so on."""
    left_out: int
    """Readings that lack a value."""
    sample_period: float
    """Seconds between two readings of a group, in the slowest recording."""
    stretches: tuple[Stretch, ...]
    """What looks like faults, the most suspicious first."""
    shortest: tuple[str, int]
    """The group with the fewest readings, and how many."""
    hours: float
    """From the first reading to the last, in the recording that has the most."""

    @property
    def readings(self) -> int:
        """How many there are."""
        return sum(map(len, self.frames))

    @property
    def copies(self) -> int:
        """How many of each recording were trained on."""
        return len(self.injected) // len(self.paths)

    @property
    def suspicious(self) -> float:
        """Share of the readings that are suspicious, counted once for each reason."""
        return sum(stretch.readings for stretch in self.stretches) / self.readings

    def notes(self) -> list[str]:
        """Return what somebody should know before believing a model that learnt from this."""
        found = []
        group, count = self.shortest
        if count < _WANTED_READINGS:
            hours = _WANTED_READINGS * self.sample_period / _HOUR_S
            found.append(
                f"The recording is too short: group {group} has {count:,} readings, wanted are at least "
                f"{_WANTED_READINGS} of each ({hours:.2g} h at {self.sample_period:g} s)."
            )
        if self.hours * _HOUR_S < _DAY_S:
            found.append(
                f"It is {self.hours:.2g} h of a day's 24: what the plant does at other hours isn't known."
            )
        if self.stretches:
            found.append(
                f"It may hold faults already: {len(self.stretches)} stretches ({self.suspicious:.2%} of the "
                "readings) look like some, and the model learnt that they are Normal. Look at them; where "
                "they are faults, cut them out and fit again."
            )
        if self.left_out:
            found.append(f"{self.left_out:,} readings without a value in each feature were left out.")
        return found

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for the manifest."""
        return {
            "rate": RATE,
            "copies": self.copies,
            "kinds": list(KINDS),
            "hours": round(self.hours, 3),
            "fewest_readings_of_a_group": self.shortest[1],
            "suspicious_stretches": len(self.stretches),
            "suspicious_share": self.suspicious,
        }


@contextmanager
def labelled(paths: Sequence[Path]) -> Iterator[Healthy]:
    """Read the recordings and put faults of all kinds into copies of them, which are there meanwhile.

    Raises
    ------
    InputError : one can't be read, is labelled Faulty somewhere, or is too short for any fault.
    """
    read = [recordings.read(path) for path in paths]
    frames = tuple(frame[recordings.complete(frame)].reset_index(drop=True) for frame in read)
    readings = sum(map(len, frames))
    copies = min(_MOST_COPIES, math.ceil(_ENOUGH_READINGS / max(1, readings)))
    with TemporaryDirectory(prefix="sensor-training-") as folder:
        injected = []
        for seed in range(copies):
            for number, (path, frame) in enumerate(zip(paths, frames, strict=True)):
                copy = Path(folder) / str(number) / f"{path.stem}.seed{seed}{path.suffix}"
                try:
                    recordings.write(inject(frame, RATE, seed, tuple(KINDS)), copy)
                except InputError as error:
                    raise InputError(f"{path}: {error}") from error
                injected.append(copy)
        counts = pd.concat([frame["group"].value_counts() for frame in frames])
        found = [stretch for frame in frames for stretch in suspects.find(frame)]
        yield Healthy(
            paths=tuple(paths),
            frames=frames,
            injected=tuple(injected),
            left_out=sum(map(len, read)) - readings,
            sample_period=max(dataset.sample_period([frame]) for frame in frames),
            stretches=tuple(sorted(found, key=lambda stretch: -stretch.size)),
            shortest=(str(counts.idxmin()), int(counts.min())),
            hours=max(float(frame["ts"].max() - frame["ts"].min()) for frame in frames) / _HOUR_S,
        )


def told(healthy: Healthy) -> str:
    """Return what a console shows of it."""
    length = f"{healthy.readings:,} readings of {healthy.hours:.2g} h in {len(healthy.paths)} recording(s)"
    lines = [f"healthy: {length}; faults were put into {RATE:.0%} of {healthy.copies} copies of each"]
    lines += [f"note: {note}" for note in healthy.notes()]
    lines += ["  " + "  ".join(row) for row in rows(healthy)]
    more = len(healthy.stretches) - _MOST_SHOWN
    return "\n".join([*lines, *([f"  and {more} more"] if more > 0 else [])])


def rows(healthy: Healthy) -> list[tuple[str, ...]]:
    """Return the most suspicious stretches as group, from, to, feature, readings and why."""
    return [
        (
            stretch.group,
            _when(stretch.begin),
            _when(stretch.end),
            stretch.feature,
            f"{stretch.readings:,}",
            stretch.why,
        )
        for stretch in healthy.stretches[:_MOST_SHOWN]
    ]


def _when(ts: float) -> str:
    """Return an event time for people."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%S")
