"""Known faults into healthy readings, so that what a model finds can be counted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monitor.core.arrays import FloatArray
from training.config.errors import InputError
from training.data.recordings import FAULTY, FEATURES, HEALTHY, NAMES, complete
from training.faults.kinds import DEFAULT_KINDS, KINDS, Sensor, shows

__all__ = ["inject"]

# Share of the episodes that hit both sensors of a mote, as when its supply or its board fails. The other
# mote stays healthy: it is what three readings can tell a fault by.
_WHOLE_MOTE = 0.3
_FEWEST_READINGS = 100
# Draws of sensor, size and sign before an episode is given up; a handful does wherever one can show.
_TRIES = 200


@dataclass(frozen=True, slots=True)
class _Episode:
    kind: str
    begin: int
    end: int


def inject(frame: pd.DataFrame, rate: float, seed: int, kinds: Sequence[str] = DEFAULT_KINDS) -> pd.DataFrame:
    """Return the recording with faults in about `rate` of each group's readings.

    Faults come in episodes of one kind, on one sensor or on both of one mote. Each kind gets about the same
    number of readings. All other readings stay as they are, bit for bit; those with an empty cell too.

    Parameters
    ----------
    frame : a recording as `recordings.read` returns it, without faults.
    rate : share of the readings, from 0 to below 1.
    seed : the same seed gives the same faults.
    kinds : some of `KINDS`.

    Returns
    -------
    A copy with `label` -1 and the column `kind` set where a reading is faulty; `kind` is "" elsewhere.

    Raises
    ------
    InputError : the recording has faults already, a group is too short, or a kind can't show in it.
    """
    if "label" in frame.columns and (frame["label"] == FAULTY).any():
        row = int(np.argmax(frame["label"] == FAULTY))
        raise InputError(f"column label, row {row + 1}: -1 (Faulty); expected healthy readings only")
    usable = complete(frame)
    values = frame[NAMES].to_numpy(copy=True)  # (reading, feature)
    kind_of = np.full(len(frame), "", dtype=object)  # (reading,)
    places = np.flatnonzero(usable)
    for number, (group, rows) in enumerate(frame[usable].groupby("group", sort=True).indices.items()):
        rng = np.random.default_rng([seed, number])
        own = values[places[rows]]
        sensors = _sensors(str(group), own)
        true = own.copy()
        for episode in _episodes(len(rows), rate, kinds, rng):
            part = slice(episode.begin, episode.end)
            for column, faulty in _draw(str(group), episode.kind, true[part], sensors, rng).items():
                own[part, column] = faulty
            kind_of[places[rows[part]]] = episode.kind
        values[places[rows]] = own
    result = frame.assign(label=np.where(kind_of == "", HEALTHY, FAULTY), kind=kind_of.astype(str))
    result[NAMES] = values
    return result


def _sensors(group: str, values: FloatArray) -> list[Sensor]:
    if len(values) < _FEWEST_READINGS:
        raise InputError(f"group {group}: {len(values)} readings, expected at least {_FEWEST_READINGS}")
    return [Sensor.of(column, feature.unit) for column, feature in zip(values.T, FEATURES, strict=True)]


def _episodes(
    readings: int, rate: float, kinds: Sequence[str], rng: np.random.Generator
) -> Iterator[_Episode]:
    """Yield episodes in order, at least one healthy reading before each, until `rate` of all is faulty."""
    if rate == 0:
        return
    position = faulty = 0
    for kind in _kinds(kinds, rng):
        low, high = KINDS[kind].lengths
        length = int(rng.integers(low, high + 1))
        # So many healthy readings make the rate right; half as many to half again as many make it random.
        owed = (faulty + length) / rate - position - length
        begin = position + max(1, round(owed * rng.uniform(0.5, 1.5)))
        if begin >= readings:
            return
        position = min(begin + length, readings)
        faulty += position - begin
        yield _Episode(kind, begin, position)


def _kinds(kinds: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Yield kinds without end, short ones more often, so that all get about the same number of readings."""
    mean = {kind: sum(KINDS[kind].lengths) / 2 for kind in kinds}
    longest = max(mean.values())
    round_of_all = [kind for kind in kinds for _ in range(round(longest / mean[kind]))]
    while True:
        yield from rng.permutation(round_of_all).tolist()


def _draw(
    group: str, kind: str, true: FloatArray, sensors: list[Sensor], rng: np.random.Generator
) -> dict[int, FloatArray]:
    """Return the faulty values (reading,) of each column at fault in an episode, true (reading, feature)."""
    rules = KINDS[kind]
    for _ in range(_TRIES):
        drawn = {}
        for column in _columns(rng):
            size = rng.uniform(*rules.sizes) * rng.choice([-1, 1])
            exact = rules.apply(true[:, column], size, sensors[column], rng)
            drawn[column] = np.round(exact, sensors[column].decimals)
        if all(shows(rules, true[:, column], drawn[column], sensors[column]) for column in drawn):
            return drawn
    raise InputError(f"group {group}: a fault of kind {kind} doesn't show against its readings; leave it out")


def _columns(rng: np.random.Generator) -> list[int]:
    """Draw the sensors at fault: one, or both of one mote. A feature's name ends in its mote."""
    mote = rng.choice(sorted({name.rpartition("_")[2] for name in NAMES}))
    columns = [column for column, name in enumerate(NAMES) if name.rpartition("_")[2] == mote]
    return columns if rng.random() < _WHOLE_MOTE else [int(rng.choice(columns))]
