"""What the stations of the attacked plant send: healthy readings, and faulty ones of stations that turned."""

from collections import deque
from collections.abc import Iterator

from tests.chaos.reading_generator import Reading

__all__ = ["Stations"]

_START_TS = 1e9
"""In 2001, so that no event time is ahead of the clock."""
_PERIOD_S = 10.0
"""Shorter than `windows.max_gap`, and two are longer: after one lost reading the next is a `gap`."""


class Stations:
    """Readings of all stations in turn; a station that turns faulty is the next to send.

    Parameters
    ----------
    count : number of stations.
    """

    def __init__(self, count: int) -> None:
        self.groups = [f"line1/station{number}" for number in range(count)]
        """All stations, in the order in which they turn faulty."""
        self._last_ts = dict.fromkeys(self.groups, _START_TS)
        self._faulty: set[str] = set()  # they stay it
        self._turning: deque[str] = deque()
        self.healthy_to_the_end: list[str] = []
        """Stations whose only faulty reading is their last; empty until `final_readings`."""

    def turn_faulty(self) -> str:
        """Let another station send faulty readings from now on, the first at once; return its group."""
        group = self.groups[len(self._faulty)]
        self._faulty.add(group)
        self._turning.append(group)
        return group

    def lose_reading(self) -> None:
        """Let the last station take a reading that it doesn't send."""
        self._last_ts[self.groups[-1]] += _PERIOD_S

    def last_window(self, group: str) -> list[float]:
        """Return the event times of a station's last 3 readings."""
        return [self._last_ts[group] - _PERIOD_S * steps for steps in (2, 1, 0)]

    def __iter__(self) -> Iterator[Reading]:
        """Yield one reading of each station a round."""
        while True:
            for group in self.groups:
                while self._turning:
                    yield self._read(self._turning.popleft())
                yield self._read(group)

    def final_readings(self) -> list[Reading]:
        """Return a faulty reading of each station: each must raise an alert if it hasn't yet."""
        self.healthy_to_the_end = [group for group in self.groups if group not in self._faulty]
        self._faulty = set(self.groups)
        return [self._read(group) for group in self.groups]

    def _read(self, group: str) -> Reading:
        self._last_ts[group] += _PERIOD_S
        temperature_2 = 30.0 if group in self._faulty else 20.5
        return Reading(group, self._last_ts[group], (20.0, 50.0, temperature_2, 50.0))
