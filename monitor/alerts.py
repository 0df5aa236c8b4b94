"""Judged windows -> alert events: a state machine driven by event time alone."""

import msgspec

from monitor.records import AlertEvent, Judgements

__all__ = ["AlertStage"]

_VERSION = 1


class _Group(msgspec.Struct, array_like=True, gc=False):
    """Where one group stands. A group that is quietly Normal has none of these."""

    faulty_run: int = 0
    normal_run: int = 0
    run_started: float = 0.0
    """Event time at which the present run of equal predictions began, seconds."""
    started_at: float | None = None
    """Event time at which the open incident began, seconds; None if there is none."""


_QUIET = msgspec.msgpack.encode((_VERSION, _Group()))


class AlertStage:
    """Turns judged windows into incidents.

    Parameters
    ----------
    raise_after : consecutive Faulty windows that begin an incident.
    clear_after : consecutive Normal windows that end it.
    every_window : each Faulty window is an event and nothing else is; an incident begins with the first
        Faulty window and ends with the first Normal one.
    """

    def __init__(self, *, raise_after: int = 1, clear_after: int = 3, every_window: bool = False) -> None:
        self._raise_after = 1 if every_window else raise_after
        self._clear_after = 1 if every_window else clear_after
        self._every_window = every_window
        self._groups: dict[str, _Group] = {}
        self.firing = 0
        """Incidents that are open."""

    def update(self, judged: Judgements) -> list[AlertEvent]:
        """Take judged windows in the order of their readings; return the events they cause."""
        events = []
        newest = judged.ts[:, -1].tolist()
        for index, (name, ts, faulty) in enumerate(
            zip(judged.groups, newest, judged.faulty.tolist(), strict=True)
        ):
            group = self._groups.get(name)
            if group is None:
                if not faulty:
                    continue
                group = self._groups[name] = _Group()
            status, started_at, ended_at = self._step(group, ts, faulty=faulty)
            if group.started_at is None and not group.faulty_run:
                del self._groups[name]
            if status:
                events.append(self._event(judged, index, status, started_at, ended_at))
        return events

    def _step(self, group: _Group, ts: float, *, faulty: bool) -> tuple[str, float, float | None]:
        """Advance one group by one window; return the event's status ("" for none), start and end."""
        if faulty:
            if group.faulty_run == 0:
                group.run_started = ts
            group.faulty_run += 1
            group.normal_run = 0
            if group.started_at is None and group.faulty_run >= self._raise_after:
                group.started_at = group.run_started
                self.firing += 1
                return "firing", group.started_at, None
            if group.started_at is not None and self._every_window:
                return "firing", group.started_at, None
            return "", ts, None
        if group.normal_run == 0:
            group.run_started = ts
        group.normal_run += 1
        group.faulty_run = 0
        if group.started_at is None or group.normal_run < self._clear_after:
            return "", ts, None
        started_at, group.started_at = group.started_at, None
        self.firing -= 1
        return "" if self._every_window else "resolved", started_at, group.run_started

    def _event(
        self, judged: Judgements, index: int, status: str, started_at: float, ended_at: float | None
    ) -> AlertEvent:
        group = judged.groups[index]
        return AlertEvent(
            id=_identify(group, started_at),
            status=status,
            group=group,
            score=float(judged.scores[index]),
            started_at=started_at,
            ended_at=ended_at,
            window_ts=judged.ts[index].tolist(),
            window_values=judged.values[index].tolist(),
            out_of_range=bool(judged.out_of_range[index]),
        )

    def incident(self, group: str) -> str | None:
        """Return the id of a group's open incident."""
        state = self._groups.get(group)
        return None if state is None or state.started_at is None else _identify(group, state.started_at)

    def groups(self) -> list[str]:
        """Return the names of the groups that have state here: those not quietly Normal."""
        return list(self._groups)

    def dump(self, group: str) -> bytes:
        """Return what is kept for a group as a value that `load` takes."""
        state = self._groups.get(group)
        return _QUIET if state is None else msgspec.msgpack.encode((_VERSION, state))

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is of another version or none at all.
        """
        try:
            version, state = msgspec.msgpack.decode(value, type=tuple[int, _Group])
        except msgspec.DecodeError as error:
            raise ValueError(f"alert state of {group!r} can't be read: {error}") from error
        if version != _VERSION:
            raise ValueError(f"alert state of {group!r} is version {version}, expected {_VERSION}")
        self.forget(group)
        if state != _Group():
            self._groups[group] = state
            self.firing += state.started_at is not None

    def forget(self, group: str) -> None:
        """Drop a group and its open incident."""
        state = self._groups.pop(group, None)
        if state is not None and state.started_at is not None:
            self.firing -= 1


def _identify(group: str, started_at: float) -> str:
    return f"{group}:{round(started_at * 1000)}"
