"""Injects faults into healthy readings and labels them, as training data and to evaluate a model."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monitor.bundle import Feature
from monitor.core.arrays import FloatArray
from monitor.core.errors import InvalidInputError
from training.data.features import describe_sensor
from training.data.recordings import FAULTY_LABEL, NORMAL_LABEL, complete_mask
from training.faults.fault_kinds import DEFAULT_FAULT_KINDS, FAULT_KINDS, SensorStats, is_detectable

__all__ = ["inject", "inject_visible"]

# Share of the episodes that affect all sensors of a mote, as a failure of its power supply or board does.
# Other motes stay healthy, because a window of three readings shows a fault only in comparison with them.
_WHOLE_MOTE_SHARE = 0.3
_MIN_READINGS = 100
# Maximum number of random draws of sensor, size and sign until a fault is detectable. If detectable faults
# are possible, a few draws are enough.
_MAX_DRAWS = 200


@dataclass(frozen=True, slots=True)
class _Episode:
    kind: str
    begin: int
    end: int


def inject(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    rate: float,
    seed: int,
    kinds: Sequence[str] = DEFAULT_FAULT_KINDS,
) -> pd.DataFrame:
    """Return a copy of the recording with faults in about the share `rate` of each group's readings.

    An episode has one fault kind and affects one sensor or all sensors of one mote. All kinds get about the
    same number of readings. All other readings, and readings with an empty cell, are not changed.

    Parameters
    ----------
    frame : a recording without faults, as `recordings.read` returns it.
    features : the features of the recording; those whose names end alike after the last `_` are of one mote.
    rate : share of faulty readings, from 0 to below 1.
    seed : seed of the random faults.
    kinds : keys of `FAULT_KINDS`.

    Returns
    -------
    A copy with `label` -1 and the fault kind in the column `kind` for faulty readings. For other readings,
    `label` is 1 and `kind` is "".

    Raises
    ------
    InvalidInputError : the recording has faults already, a group has too few readings, or faults of one of
        the kinds are not detectable in the readings of a group.
    """
    result, hidden = inject_visible(frame, features, rate, seed, kinds)
    if hidden:
        group, kind = next(iter(hidden))
        raise InvalidInputError(
            f"group {group}: a fault of kind {kind} doesn't show against its readings; leave it out"
        )
    return result


def inject_visible(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    rate: float,
    seed: int,
    kinds: Sequence[str] = DEFAULT_FAULT_KINDS,
) -> tuple[pd.DataFrame, Counter[tuple[str, str]]]:
    """Inject faults as `inject` does, but leave out each fault that would not show where it was to be.

    Returns
    -------
    The copy, and how many faults were left out: (group, kind) -> number.

    Raises
    ------
    InvalidInputError : the recording has faults already, or a group has too few readings.
    """
    hidden: Counter[tuple[str, str]] = Counter()
    if "label" in frame.columns and (frame["label"] == FAULTY_LABEL).any():
        row = int(np.argmax(frame["label"] == FAULTY_LABEL))
        raise InvalidInputError(f"row {row + 1}: label is -1 (Faulty); expected healthy readings only")
    names = [feature.name for feature in features]
    usable = complete_mask(frame, names)
    values = frame[names].to_numpy(copy=True)  # (reading, feature)
    kind_column = np.full(len(frame), "", dtype=object)  # (reading,)
    motes = [name.rpartition("_")[2] for name in names]
    usable_rows = np.flatnonzero(usable)
    for number, (group, rows) in enumerate(frame[usable].groupby("group", sort=True).indices.items()):
        rng = np.random.default_rng([seed, number])
        group_values = values[usable_rows[rows]]
        sensors = _compute_sensor_stats(str(group), group_values, features)
        true_values = group_values.copy()
        for episode in _draw_episodes(len(rows), rate, kinds, rng):
            episode_rows = slice(episode.begin, episode.end)
            drawn = _draw_faulty_values(episode.kind, true_values[episode_rows], sensors, motes, rng)
            if drawn is None:
                hidden[str(group), episode.kind] += 1
                continue
            for column, faulty in drawn.items():
                group_values[episode_rows, column] = faulty
            kind_column[usable_rows[rows[episode_rows]]] = episode.kind
        values[usable_rows[rows]] = group_values
    result = frame.assign(
        label=np.where(kind_column == "", NORMAL_LABEL, FAULTY_LABEL), kind=kind_column.astype(str)
    )
    result[names] = values
    return result, hidden


def _compute_sensor_stats(group: str, values: FloatArray, features: Sequence[Feature]) -> list[SensorStats]:
    if len(values) < _MIN_READINGS:
        raise InvalidInputError(f"group {group}: {len(values)} readings, expected at least {_MIN_READINGS}")
    return [
        SensorStats.from_values(column, describe_sensor(feature))
        for column, feature in zip(values.T, features, strict=True)
    ]


def _draw_episodes(
    readings: int, rate: float, kinds: Sequence[str], rng: np.random.Generator
) -> Iterator[_Episode]:
    """Yield episodes in order of time, with at least one healthy reading before each episode."""
    if rate == 0:
        return
    position = faulty = 0
    for kind in _draw_kinds(kinds, rng):
        low, high = FAULT_KINDS[kind].length_range
        length = int(rng.integers(low, high + 1))
        # A gap of this many healthy readings would give exactly the rate; the random factor has the mean 1.
        mean_gap = (faulty + length) / rate - position - length
        begin = position + max(1, round(mean_gap * rng.uniform(0.5, 1.5)))
        if begin >= readings:
            return
        position = min(begin + length, readings)
        faulty += position - begin
        yield _Episode(kind, begin, position)


def _draw_kinds(kinds: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Yield kinds endlessly; kinds with short episodes more often, so all get about as many readings."""
    mean = {kind: sum(FAULT_KINDS[kind].length_range) / 2 for kind in kinds}
    longest = max(mean.values())
    kinds_in_proportion = [kind for kind in kinds for _ in range(round(longest / mean[kind]))]
    while True:
        yield from rng.permutation(kinds_in_proportion).tolist()


def _draw_faulty_values(
    kind: str,
    true_values: FloatArray,
    sensors: list[SensorStats],
    motes: Sequence[str],
    rng: np.random.Generator,
) -> dict[int, FloatArray] | None:
    """Draw the affected features of an episode and their faulty values: column index -> (reading,).

    None if no draw of many is detectable in these readings.

    Parameters
    ----------
    true_values : the values of the episode without the fault: (reading, feature).
    motes : the mote of each feature (feature,).
    """
    fault_kind = FAULT_KINDS[kind]
    for _ in range(_MAX_DRAWS):
        drawn = {}
        for column in _draw_columns(motes, rng):
            size = rng.uniform(*fault_kind.size_range) * rng.choice([-1, 1])
            exact = fault_kind.apply(true_values[:, column], size, sensors[column], rng)
            drawn[column] = np.round(exact, sensors[column].decimals)
        if all(
            is_detectable(fault_kind, true_values[:, column], drawn[column], sensors[column])
            for column in drawn
        ):
            return drawn
    return None


def _draw_columns(motes: Sequence[str], rng: np.random.Generator) -> list[int]:
    """Draw a mote, and one or all of its columns."""
    mote = rng.choice(sorted(set(motes)))
    columns = [column for column, other in enumerate(motes) if other == mote]
    return columns if rng.random() < _WHOLE_MOTE_SHARE else [int(rng.choice(columns))]
