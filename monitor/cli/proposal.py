"""What other alert settings would have sent over the same recording, set beside today's."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from monitor.cli.incident_diff import Change, Ledger, compare
from monitor.config.settings import Alerts
from monitor.core.times import iso
from monitor.detect.scoring import Verdicts
from monitor.service.stages import alert_stage

__all__ = ["Proposal"]

_DAY = 86400.0  # seconds
_MOST_CHANGES = 20
"""Changes that are written out."""
_COLUMNS = ("today", "a day", "proposed", "a day", "vanish", "merge", "split", "appear", "later")


@dataclass(slots=True)
class _Row:
    """One group's line, or that of all."""

    firing: tuple[int, int] = (0, 0)
    """Today and proposed."""
    rates: tuple[float, float] = (0.0, 0.0)
    """Of these, a day; not a number where the recording is too short for one."""
    changes: list[Change] = field(default_factory=list)

    def __add__(self, other: "_Row") -> "_Row":
        return _Row(
            (self.firing[0] + other.firing[0], self.firing[1] + other.firing[1]),
            (self.rates[0] + other.rates[0], self.rates[1] + other.rates[1]),
            self.changes + other.changes,
        )

    def cells(self) -> list[str]:
        surplus = [len(one.before) - len(one.after) for one in self.changes if one.before and one.after]
        delays = [one.delay for one in self.changes if one.delay is not None]
        counts = (
            sum(len(one.before) for one in self.changes if not one.after),
            sum(max(0, more) for more in surplus),
            sum(max(0, -more) for more in surplus),
            sum(len(one.after) for one in self.changes if not one.before),
        )
        rates = ["-" if math.isnan(rate) else f"{rate:,.2f}" for rate in self.rates]
        firing = [f"{count:,}" for count in self.firing]
        return [
            *(firing[0], rates[0], firing[1], rates[1]),
            *(f"{count:,}" for count in counts),
            f"{median(delays):g} s" if delays else "-",
        ]


class Proposal:
    """Judges what is judged a second time, by other alert settings.

    Parameters
    ----------
    today, proposed : the settings.
    threshold : the bundle's.

    Raises
    ------
    ConfigurationError : the proposed settings make no sense.
    """

    def __init__(self, today: Alerts, proposed: Alerts, threshold: float) -> None:
        self._settings = today, proposed
        self._stage = alert_stage(proposed, threshold)
        self._today, self._proposed = (
            Ledger(every_window=alerts.mode == "every_window") for alerts in (today, proposed)
        )

    def take(self, verdicts: Verdicts) -> None:
        """Look at a batch that today's settings have judged."""
        self._today.add(verdicts.events)
        self._proposed.add(self._stage.update(verdicts.judged))

    def table(self, spans: Mapping[str, tuple[float, float]]) -> str:
        """Set both beside each other.

        Parameters
        ----------
        spans : group -> first and last event time of all groups, seconds.
        """
        names = {*self._today.by_group, *self._proposed.by_group}
        rows = {name: self._row(name, spans[name]) for name in names}
        order = sorted(names, key=lambda name: (-max(rows[name].firing), name))
        lines = [("group", list(_COLUMNS)), *((_visible(name), rows[name].cells()) for name in order)]
        lines.append((f"all {len(spans):,}", sum(rows.values(), _Row()).cells()))
        differing = [(one, name) for name in order for one in rows[name].changes if _differs(one)]
        return "\n".join(
            [
                *_different(*self._settings),
                *_align(lines),
                *_written([_describe(*one) for one in sorted(differing, key=lambda one: one[0].started_at)]),
            ]
        )

    def _row(self, name: str, span: tuple[float, float]) -> _Row:
        days = (span[1] - span[0]) / _DAY
        firing = self._today.firing[name], self._proposed.firing[name]
        before, after = (ledger.by_group.get(name, []) for ledger in (self._today, self._proposed))
        rates = (firing[0] / days, firing[1] / days) if days > 0 else (math.nan, math.nan)
        return _Row(firing, rates, compare(before, after))


def _different(today: Alerts, proposed: Alerts) -> list[str]:
    """Name the settings that differ."""
    before, after = (alerts.model_dump(exclude_none=True) for alerts in (today, proposed))
    names = [name for name in Alerts.model_fields if before.get(name) != after.get(name)]
    return [
        f"{name}: {before.get(name, 'unset')} today, {after.get(name, 'unset')} proposed" for name in names
    ]


def _align(lines: Iterable[tuple[str, list[str]]]) -> list[str]:
    lines = list(lines)
    first = max(len(name) for name, _ in lines)
    widths = [max(len(cells[at]) for _, cells in lines) for at in range(len(_COLUMNS))]
    return [
        "  ".join(
            [name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))]
        )
        for name, cells in lines
    ]


def _differs(change: Change) -> bool:
    return len(change.before) != len(change.after)


def _describe(change: Change, group: str) -> str:
    before, after = len(change.before), len(change.after)
    if before and after:
        what = f"{before} incidents become {after}" if before > 1 else f"1 incident becomes {after}"
    else:
        (incident,) = change.before or change.after
        lasts = incident.ended_at - incident.started_at
        length = "an open incident" if math.isinf(lasts) else f"an incident of {lasts:g} s"
        what = f"{length} {'vanishes' if before else 'appears'}"
    return f"{iso(change.started_at)}  {_visible(group)}  {what}"


def _written(changes: list[str]) -> list[str]:
    more = len(changes) - _MOST_CHANGES
    return changes[:_MOST_CHANGES] + ([f"and {more:,} more such changes"] if more > 0 else [])


def _visible(group: str) -> str:
    return group if group.isprintable() else repr(group)
