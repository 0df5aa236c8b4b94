"""What a plant with known faults sends: the same for the same seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.toy_bundle import NAMES

__all__ = ["Course", "Reading"]

_START = 1e9
"""Long ago, so that no event time is ahead of a clock."""
_PERIOD = 5.0
_PAUSE = 60.0
"""Longer than `windows.max_gap`: the window starts afresh."""
_PAUSES = 0.003
_LONGEST_HEALTHY, _LONGEST_FAULTY = 40, 8  # readings
# What resolves any incident: a faulty reading stays for two windows, and then it takes three Normal ones.
_ENDING = 6


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading as it goes over the wire."""

    group: str
    ts: float
    values: tuple[float, ...]

    @property
    def topic(self) -> bytes:
        """Return where it is published."""
        return f"plant/{self.group}/reading".encode()

    @property
    def payload(self) -> bytes:
        """Return it as JSON."""
        fields = ",".join(f'"{name}":{value}' for name, value in zip(NAMES, self.values, strict=True))
        return f'{{"ts":{self.ts},{fields}}}'.encode()


class _Group:
    """One group: healthy for a while, faulty for a while, at times not heard."""

    def __init__(self, name: str, offset: float, chance: random.Random) -> None:
        self._name = name
        self._ts = _START + offset
        self._chance = chance
        self._faulty = False
        self._left = chance.randint(3, _LONGEST_HEALTHY)

    def next(self) -> Reading:
        """Return the next reading."""
        if not self._left:
            self._faulty = not self._faulty
            self._left = self._chance.randint(1, _LONGEST_FAULTY if self._faulty else _LONGEST_HEALTHY)
        self._left -= 1
        pauses = self._chance.random() < _PAUSES
        return self._reading(_PAUSE if pauses else _PERIOD, faulty=self._faulty)

    def ending(self) -> Iterator[Reading]:
        """Yield the readings after which nothing is open."""
        for _ in range(_ENDING):
            yield self._reading(_PERIOD, faulty=False)
        # What comes next is Faulty: whoever has forgotten this ending, or should have, gives itself away.
        self._faulty, self._left = False, 0

    def _reading(self, step: float, *, faulty: bool) -> Reading:
        self._ts = round(self._ts + step, 3)
        temperature = round(20 + self._chance.random(), 2)
        apart = 10.0 if faulty else 0.5
        return Reading(self._name, self._ts, (temperature, 50.0, round(temperature + apart, 2), 50.0))


class Course:
    """All groups in turn, without end.

    Parameters
    ----------
    groups : how many there are.
    seed : the same seed gives the same readings.
    line : first part of the groups' names.
    """

    def __init__(self, groups: int, seed: int, line: str = "line") -> None:
        chance = random.Random(seed)  # noqa: S311, repeatable on purpose
        self._groups = [_Group(f"{line}/s{n:05}", n * 0.001, chance) for n in range(groups)]
        self._chance = chance

    def __iter__(self) -> Iterator[Reading]:
        """Yield readings in rounds of all groups, each round in another order."""
        while True:
            self._chance.shuffle(self._groups)
            for group in self._groups:
                yield group.next()

    def ending(self) -> list[Reading]:
        """Return readings after which no incident is open."""
        return [reading for group in self._groups for reading in group.ending()]
