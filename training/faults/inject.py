"""Injects known faults into healthy readings, so that the faults that a model finds can be counted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monitor.core.arrays import FloatArray
from monitor.core.errors import InvalidInputError
from training.data.features import FEATURE_NAMES, FEATURES
from training.data.recordings import FAULTY_LABEL, NORMAL_LABEL, complete_mask
from training.faults.fault_kinds import DEFAULT_FAULT_KINDS, FAULT_KINDS, SensorStats, is_detectable

__all__ = ["inject"]

# Share of the episodes on both sensors of a mote, as when its supply or its board fails. The other mote stays
# healthy: three readings show a fault only in comparison with it.
_WHOLE_MOTE_SHARE = 0.3
_MIN_READINGS = 100
# Draws of sensor, size and sign before an episode is given up; where a fault can show, a few are enough.
_MAX_DRAWS = 200


@dataclass(frozen=True, slots=True)
class _Episode:
    kind: str
    begin: int
    end: int


def inject(
    frame: pd.DataFrame, rate: float, seed: int, kinds: Sequence[str] = DEFAULT_FAULT_KINDS
) -> pd.DataFrame:
    """Return the recording with faults in about `rate` of each group's readings.

    Faults come in episodes of one kind, on one sensor or on both of one mote. Each kind gets about the same
    number of readings. All other readings, and those with an empty cell, stay the same to the bit.

    Parameters
    ----------
    frame : a recording as `recordings.read` returns it, without faults.
    rate : share of the readings, from 0 to below 1.
    seed : the same seed gives the same faults.
    kinds : some of `FAULT_KINDS`.

    Returns
    -------
    A copy with `label` -1 and the column `kind` set where a reading is faulty; `kind` is "" elsewhere.

    Raises
    ------
    InvalidInputError : the recording has faults already, a group has too few readings, or faults of a kind
        can't be told from its readings.
    """
    if "label" in frame.columns and (frame["label"] == FAULTY_LABEL).any():
        row = int(np.argmax(frame["label"] == FAULTY_LABEL))
        raise InvalidInputError(f"row {row + 1}: label is -1 (Faulty); expected healthy readings only")
    usable = complete_mask(frame)
    values = frame[FEATURE_NAMES].to_numpy(copy=True)  # (reading, feature)
    kind_column = np.full(len(frame), "", dtype=object)  # (reading,)
    usable_rows = np.flatnonzero(usable)
    for number, (group, rows) in enumerate(frame[usable].groupby("group", sort=True).indices.items()):
        rng = np.random.default_rng([seed, number])
        group_values = values[usable_rows[rows]]
        sensors = _sensor_stats(str(group), group_values)
        true_values = group_values.copy()
        for episode in _draw_episodes(len(rows), rate, kinds, rng):
            episode_rows = slice(episode.begin, episode.end)
            for column, faulty in _draw_faulty_values(
                str(group), episode.kind, true_values[episode_rows], sensors, rng
            ).items():
                group_values[episode_rows, column] = faulty
            kind_column[usable_rows[rows[episode_rows]]] = episode.kind
        values[usable_rows[rows]] = group_values
    result = frame.assign(
        label=np.where(kind_column == "", NORMAL_LABEL, FAULTY_LABEL), kind=kind_column.astype(str)
    )
    result[FEATURE_NAMES] = values
    return result


def _sensor_stats(group: str, values: FloatArray) -> list[SensorStats]:
    if len(values) < _MIN_READINGS:
        raise InvalidInputError(f"group {group}: {len(values)} readings, expected at least {_MIN_READINGS}")
    return [
        SensorStats.from_values(column, feature.unit)
        for column, feature in zip(values.T, FEATURES, strict=True)
    ]


def _draw_episodes(
    readings: int, rate: float, kinds: Sequence[str], rng: np.random.Generator
) -> Iterator[_Episode]:
    """Yield episodes in order, each after at least one healthy reading, up to the end of the readings."""
    if rate == 0:
        return
    position = faulty = 0
    for kind in _draw_kinds(kinds, rng):
        low, high = FAULT_KINDS[kind].length_range
        length = int(rng.integers(low, high + 1))
        # This many healthy readings give the rate; the random factor has the mean 1.
        mean_gap = (faulty + length) / rate - position - length
        begin = position + max(1, round(mean_gap * rng.uniform(0.5, 1.5)))
        if begin >= readings:
            return
        position = min(begin + length, readings)
        faulty += position - begin
        yield _Episode(kind, begin, position)


def _draw_kinds(kinds: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Yield kinds forever, short ones more often, so that all get about the same number of readings."""
    mean = {kind: sum(FAULT_KINDS[kind].length_range) / 2 for kind in kinds}
    longest = max(mean.values())
    kinds_in_proportion = [kind for kind in kinds for _ in range(round(longest / mean[kind]))]
    while True:
        yield from rng.permutation(kinds_in_proportion).tolist()


def _draw_faulty_values(
    group: str, kind: str, true_values: FloatArray, sensors: list[SensorStats], rng: np.random.Generator
) -> dict[int, FloatArray]:
    """Draw the faulty columns of an episode and their values: column -> (reading,).

    Parameters
    ----------
    true_values : the episode's values without the fault: (reading, feature).
    """
    fault_kind = FAULT_KINDS[kind]
    for _ in range(_MAX_DRAWS):
        drawn = {}
        for column in _draw_columns(rng):
            size = rng.uniform(*fault_kind.size_range) * rng.choice([-1, 1])
            exact = fault_kind.apply(true_values[:, column], size, sensors[column], rng)
            drawn[column] = np.round(exact, sensors[column].decimals)
        if all(
            is_detectable(fault_kind, true_values[:, column], drawn[column], sensors[column])
            for column in drawn
        ):
            return drawn
    raise InvalidInputError(
        f"group {group}: a fault of kind {kind} doesn't show against its readings; leave it out"
    )


def _draw_columns(rng: np.random.Generator) -> list[int]:
    """Draw the faulty columns: one, or both of one mote, which is the end of a feature's name."""
    mote = rng.choice(sorted({name.rpartition("_")[2] for name in FEATURE_NAMES}))
    columns = [column for column, name in enumerate(FEATURE_NAMES) if name.rpartition("_")[2] == mote]
    return columns if rng.random() < _WHOLE_MOTE_SHARE else [int(rng.choice(columns))]
