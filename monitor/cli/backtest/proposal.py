"""Compares the alerts of the current settings with the alerts of proposed settings."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from monitor.cli.backtest.incident_diff import Change, IncidentHistory, compare
from monitor.config.settings import AlertSettings
from monitor.core.printable import printable
from monitor.core.times import format_iso
from monitor.detect.scoring import ScoredBatch
from monitor.service.settings_to_stages import build_alert_stage

__all__ = ["Proposal"]

_SECONDS_PER_DAY = 86400.0
_MAX_CHANGES = 20  # maximum number of listed changes
_COLUMNS = ("today", "a day", "proposed", "a day", "vanish", "merge", "split", "appear", "later")


@dataclass(slots=True)
class _Row:
    """One row of the table: the counts of a group, or their sums over all groups."""

    firing_counts: tuple[int, int] = (0, 0)
    """Firing events: current settings, proposed settings."""
    rates_per_day: tuple[float, float] = (0.0, 0.0)
    """Firing events per day: current settings, proposed settings; NaN if the readings span no time."""
    changes: list[Change] = field(default_factory=list)

    def __add__(self, other: "_Row") -> "_Row":
        return _Row(
            (self.firing_counts[0] + other.firing_counts[0], self.firing_counts[1] + other.firing_counts[1]),
            (self.rates_per_day[0] + other.rates_per_day[0], self.rates_per_day[1] + other.rates_per_day[1]),
            self.changes + other.changes,
        )

    def cells(self) -> list[str]:
        """Return the text of each column in `_COLUMNS`."""
        count_differences = [
            len(change.before) - len(change.after)
            for change in self.changes
            if change.before and change.after
        ]
        delays = [change.delay for change in self.changes if change.delay is not None]
        counts = (
            sum(len(change.before) for change in self.changes if not change.after),  # vanish
            sum(max(0, difference) for difference in count_differences),  # merge
            sum(max(0, -difference) for difference in count_differences),  # split
            sum(len(change.after) for change in self.changes if not change.before),  # appear
        )
        rates = ["-" if math.isnan(rate) else f"{rate:,.2f}" for rate in self.rates_per_day]
        firing = [f"{count:,}" for count in self.firing_counts]
        return [
            *(firing[0], rates[0], firing[1], rates[1]),
            *(f"{count:,}" for count in counts),
            f"{median(delays):g} s" if delays else "-",
        ]


class Proposal:
    """Runs a second alert stage, with the proposed settings, on the judged windows.

    Parameters
    ----------
    current, proposed : the settings to compare.
    threshold : score above which a window is Faulty, from the bundle.

    Raises
    ------
    ConfigurationError : the proposed settings are inconsistent, see `build_alert_stage`.
    """

    def __init__(self, current: AlertSettings, proposed: AlertSettings, threshold: float) -> None:
        self._settings = current, proposed
        self._alert_stage = build_alert_stage(proposed, threshold)
        self._current_history, self._proposed_history = (
            IncidentHistory(every_window=alerts.mode == "every_window") for alerts in (current, proposed)
        )

    def add(self, scored: ScoredBatch) -> None:
        """Add a batch that was judged with the current settings."""
        self._current_history.add(scored.events)
        self._proposed_history.add(self._alert_stage.update(scored.judged_windows))

    def format_table(self, spans: Mapping[str, tuple[float, float]]) -> str:
        """Return the comparison as text: the settings that differ, a table by group, and the changes.

        Parameters
        ----------
        spans : group -> first and last event time of its readings, seconds, for all groups.
        """
        names = {*self._current_history.by_group, *self._proposed_history.by_group}
        rows = {name: self._row(name, spans[name]) for name in names}
        order = sorted(names, key=lambda name: (-max(rows[name].firing_counts), name))
        lines = [("group", list(_COLUMNS)), *((printable(name), rows[name].cells()) for name in order)]
        lines.append((f"all {len(spans):,}", sum(rows.values(), _Row()).cells()))
        changes = [
            (change, name) for name in order for change in rows[name].changes if _has_different_count(change)
        ]
        changes.sort(key=lambda pair: pair[0].started_at)
        return "\n".join(
            [
                *_describe_settings_changes(*self._settings),
                *_align_columns(lines),
                *_limit_changes([_describe_change(change, name) for change, name in changes]),
            ]
        )

    def _row(self, name: str, span: tuple[float, float]) -> _Row:
        days = (span[1] - span[0]) / _SECONDS_PER_DAY
        firing = self._current_history.firing_counts[name], self._proposed_history.firing_counts[name]
        before, after = (
            history.by_group.get(name, []) for history in (self._current_history, self._proposed_history)
        )
        rates = (firing[0] / days, firing[1] / days) if days > 0 else (math.nan, math.nan)
        return _Row(firing, rates, compare(before, after))


def _describe_settings_changes(current: AlertSettings, proposed: AlertSettings) -> list[str]:
    """Return a line for each setting that differs."""
    before, after = (alerts.model_dump(exclude_none=True) for alerts in (current, proposed))
    names = [name for name in AlertSettings.model_fields if before.get(name) != after.get(name)]
    return [
        f"{name}: {before.get(name, 'unset')} today, {after.get(name, 'unset')} proposed" for name in names
    ]


def _align_columns(lines: Iterable[tuple[str, list[str]]]) -> list[str]:
    """Return table lines: names aligned to the left, cells to the right."""
    lines = list(lines)
    name_width = max(len(name) for name, _ in lines)
    widths = [max(len(cells[column]) for _, cells in lines) for column in range(len(_COLUMNS))]
    return [
        "  ".join(
            [name.ljust(name_width), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))]
        )
        for name, cells in lines
    ]


def _has_different_count(change: Change) -> bool:
    return len(change.before) != len(change.after)


def _describe_change(change: Change, group: str) -> str:
    before, after = len(change.before), len(change.after)
    if before and after:
        description = f"{before} incidents become {after}" if before > 1 else f"1 incident becomes {after}"
    else:
        (incident,) = change.before or change.after  # an incident that overlaps no other is a separate change
        duration_s = incident.ended_at - incident.started_at
        length = "an open incident" if math.isinf(duration_s) else f"an incident of {duration_s:g} s"
        description = f"{length} {'vanishes' if before else 'appears'}"
    return f"{format_iso(change.started_at)}  {printable(group)}  {description}"


def _limit_changes(changes: list[str]) -> list[str]:
    more = len(changes) - _MAX_CHANGES
    return changes[:_MAX_CHANGES] + ([f"and {more:,} more such changes"] if more > 0 else [])
