"""All that is known of each group: the state of the stages and its line on the board, as one value."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from monitor.detect.scoring import Chain
from monitor.groups.incidents import Incidents, Latest
from monitor.groups.status import StateBoard

__all__ = ["Memory"]

_encode = msgspec.msgpack.Encoder().encode

Fetch = Callable[[list[str]], Mapping[str, bytes]]
"""Returns what is kept elsewhere of those of these groups that it knows."""


class Memory:
    """Joins what is kept of a group in several places.

    Parameters
    ----------
    chain : the stages.
    stale_after : seconds without an accepted reading until a group is silent.
    """

    def __init__(self, chain: Chain, stale_after: float) -> None:
        self.chain = chain
        self.incidents = Incidents()
        self.board = StateBoard(stale_after, self._incident)
        self.fetch: Fetch = lambda _: {}
        """Finds groups that were set aside."""
        self.fetch_incident: Callable[[str], bytes | None] = lambda _: None
        """Finds the incident of a group that was the last one to end, where the store holds it.

        It raises ValueError where that can't be read.
        """
        self.unreadable: list[str] = []
        """Why groups that were set aside begin afresh, until whoever reads this empties it."""
        self.elsewhere = False
        """Whether there may be groups that were set aside."""

    def dump(self, group: str) -> bytes | None:
        """Return what is known of a group; None if nothing is."""
        line = self.board.dump(group)
        if line is None:
            return None
        chain = self.chain
        parts = (
            line,
            chain.windows.dump(group),
            chain.baseline.dump(group),
            chain.alerts.dump(group),
            self.incidents.dump(group),
        )
        return _encode(parts)

    def load(self, group: str, value: bytes, now: float) -> None:
        """Put back what `dump` returned, as heard at `now` (monotonic seconds).

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        try:
            line, windows, baseline, alerts, incident = msgspec.msgpack.decode(
                value, type=tuple[bytes, bytes, bytes, bytes, bytes]
            )
        except msgspec.DecodeError as error:
            raise ValueError(f"state of {group!r} can't be read: {error}") from error
        try:
            self.chain.windows.load(group, windows)
            self.chain.baseline.load(group, baseline)
            self.chain.alerts.load(group, alerts)
            self.incidents.load(group, incident)
            self.board.load(group, line, now)
        except ValueError:
            self._drop(group)  # half of it is worse than nothing
            raise

    def recall(self, groups: Iterable[str], now: float) -> None:
        """Bring back those of these groups that were set aside, at `now` (monotonic seconds)."""
        if self.elsewhere:
            missing = [group for group in dict.fromkeys(groups) if group not in self.board]
            for group, value in self.fetch(missing).items() if missing else ():
                try:
                    self.load(group, value, now)
                except ValueError as error:  # one lost group is no reason to stop judging all others
                    self.unreadable.append(str(error))

    def last_incident(self, group: str) -> Latest | None:
        """Return a group's latest incident, as a copy, also where it is over; None if there was none.

        Raises
        ------
        ValueError : it can't be read.
        """
        incidents = self.incidents
        latest = incidents.latest(group)
        if latest is not None:
            return latest
        value = incidents.past.get(group) or self.fetch_incident(group)
        return None if value is None else incidents.read(group, value)

    def expect(self, groups: Sequence[str], now: float, ts: float) -> None:
        """Know of groups that must speak, as the board does; those that were set aside come back."""
        self.recall(groups, now)
        self.board.expect(groups, now, ts)

    def excess(self, most: int) -> list[str]:
        """Return the least recently heard groups beyond so many."""
        return self.board.least_recent(len(self.board) - most)

    def set_aside(self, names: Sequence[str]) -> None:
        """Drop groups, which may be brought back."""
        for group in names:
            self._drop(group)
        self.elsewhere = self.elsewhere or bool(names)

    def _drop(self, group: str) -> None:
        self.chain.windows.forget(group)
        self.chain.baseline.forget(group)
        self.chain.alerts.forget(group)
        self.incidents.forget(group)
        self.board.forget(group)

    def start_over(self, group: str) -> None:
        """Let the stages judge a group as one that never was Faulty: what brought up a false alarm goes."""
        self.chain.alerts.end(group, self.board.last_ts(group))
        if self.chain.baseline.dump(group):  # empty where the bundle has none
            self.chain.baseline.forget(group)  # what it does now is its normal
            self.board.warm(group)

    def _incident(self, group: str) -> str | None:
        return self.chain.alerts.incident(group)  # of the chain that is in use now

    def move_to(self, chain: Chain) -> None:
        """Carry what is known over to stages that were built with other settings or another bundle.

        Raises
        ------
        ValueError : they are of another shape.
        """
        for group in self.chain.windows.groups():
            chain.windows.load(group, self.chain.windows.dump(group))
        for group in self.chain.baseline.groups():
            chain.baseline.load(group, self.chain.baseline.dump(group))
        for group in self.chain.alerts.groups():
            chain.alerts.load(group, self.chain.alerts.dump(group))
        self.chain.compare()
        chain.drift.follow(self.chain.drift)
        self.chain = chain
