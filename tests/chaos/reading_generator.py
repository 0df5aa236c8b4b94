"""Readings of a simulated plant with known faults; the same seed gives the same readings."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.toy_bundle import NAMES

__all__ = ["Reading", "ReadingGenerator"]

_START_TS = 1e9
"""In 2001, so that no event time is ahead of the clock."""
_PERIOD_S = 5.0
_LONG_GAP_S = 60.0
"""Longer than `windows.max_gap`, so the window is started again."""
_GAP_PROBABILITY = 0.003
_MAX_HEALTHY_READINGS, _MAX_FAULTY_READINGS = 40, 8
_RECOVERY_READINGS = 6
"""Healthy readings that resolve any incident: the last faulty reading is part of two more windows, then three
consecutive Normal windows are needed (`alerts.clear_after`)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading, with its topic and payload."""

    group: str
    ts: float
    values: tuple[float, ...]

    @property
    def topic(self) -> bytes:
        """Return the topic that it is published on."""
        return f"plant/{self.group}/reading".encode()

    @property
    def payload(self) -> bytes:
        """Return the reading as JSON."""
        fields = ",".join(f'"{name}":{value}' for name, value in zip(NAMES, self.values, strict=True))
        return f'{{"ts":{self.ts},{fields}}}'.encode()


class _GroupGenerator:
    """Readings of one group: alternately healthy and faulty for random lengths, with occasional gaps."""

    def __init__(self, name: str, offset: float, rng: random.Random) -> None:
        self._name = name
        self._ts = _START_TS + offset
        self._rng = rng
        self._faulty = False
        self._phase_readings_left = rng.randint(3, _MAX_HEALTHY_READINGS)

    def next_reading(self) -> Reading:
        """Return the next reading."""
        if not self._phase_readings_left:
            self._faulty = not self._faulty
            self._phase_readings_left = self._rng.randint(
                1, _MAX_FAULTY_READINGS if self._faulty else _MAX_HEALTHY_READINGS
            )
        self._phase_readings_left -= 1
        is_gap = self._rng.random() < _GAP_PROBABILITY
        return self._make_reading(_LONG_GAP_S if is_gap else _PERIOD_S, faulty=self._faulty)

    def recovery_readings(self) -> Iterator[Reading]:
        """Yield healthy readings that resolve any incident of the group."""
        for _ in range(_RECOVERY_READINGS):
            yield self._make_reading(_PERIOD_S, faulty=False)
        # The next reading is faulty and begins a new incident, so a monitor that wrongly forgot the end of
        # the last incident, or wrongly remembers it, publishes other events than expected.
        self._faulty, self._phase_readings_left = False, 0

    def _make_reading(self, step: float, *, faulty: bool) -> Reading:
        self._ts = round(self._ts + step, 3)
        temperature = round(20 + self._rng.random(), 2)
        deviation = 10.0 if faulty else 0.5
        return Reading(self._name, self._ts, (temperature, 50.0, round(temperature + deviation, 2), 50.0))


class ReadingGenerator:
    """An endless sequence of readings of all groups in turn.

    Parameters
    ----------
    group_count : number of groups.
    seed : the same seed gives the same readings.
    line : first part of the groups' names.
    further_groups : names of groups beside these.
    spread_s : seconds of event time between the readings of one group and the next.
    """

    def __init__(
        self,
        group_count: int,
        seed: int,
        line: str = "line",
        further_groups: tuple[str, ...] = (),
        spread_s: float = 0.001,
    ) -> None:
        rng = random.Random(seed)  # noqa: S311, repeatable on purpose
        names = [*(f"{line}/s{n:05}" for n in range(group_count)), *further_groups]
        self._groups = [_GroupGenerator(name, n * spread_s, rng) for n, name in enumerate(names)]
        self._rng = rng

    def __iter__(self) -> Iterator[Reading]:
        """Yield one reading of each group per round, each round in another random order."""
        while True:
            self._rng.shuffle(self._groups)
            for group in self._groups:
                yield group.next_reading()

    def final_readings(self) -> list[Reading]:
        """Return healthy readings of all groups, after which no incident is open."""
        return [reading for group in self._groups for reading in group.recovery_readings()]
