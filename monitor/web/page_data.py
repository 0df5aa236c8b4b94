"""Groups and alerts as the JSON-ready data that the page's script expects."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import Feature
from monitor.core.arrays import FloatArray
from monitor.core.numbers import round_significant
from monitor.core.verdicts import AlertEvent, Detector
from monitor.web.live import LiveGroups
from monitor.web.trends import Points

__all__ = ["alerts", "group_histories", "group_updates"]

# Enough for a sensor's value, and a third of the bytes of a float64 with all its digits.
_SIGNIFICANT_DIGITS = 5
_NO_CHECKS = {Detector.NONE.label, Detector.MODEL.label}
# Alerts that are sent in full. No screen has room for more, and the table of groups shows all.
_MAX_ALERTS = 50


def group_updates(live: LiveGroups, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return groups' statuses with the newest point of each trend, or all points if several are new."""
    several_points = [name for name in names if live.trends.multiple_new_points[live.row(name)]]
    if several_points:
        others = [name for name in names if not live.trends.multiple_new_points[live.row(name)]]
        return group_histories(live, several_points) + (group_updates(live, others) if others else [])
    points = _to_lists(live.trends.newest_points([live.row(name) for name in names]))
    return [{**_status_fields(live, name), "point": point} for name, point in zip(names, points, strict=True)]


def group_histories(live: LiveGroups, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return groups' statuses with all points of their trends."""
    points = live.trends.all_points([live.row(name) for name in names])
    missing = np.count_nonzero(np.isnan(points[0]), axis=1)  # empty points, which come first: (group,)
    return [
        {**_status_fields(live, name), "points": group_points[first:]}
        for name, group_points, first in zip(names, _to_lists(points), missing.tolist(), strict=True)
    ]


def alerts(live: LiveGroups, features: Sequence[Feature]) -> dict[str, Any]:
    """Return the open incidents, those that ended last, and operators' marks.

    Open incidents without a mark come first, the newest of them at the top.
    """
    newest = list(live.alerts.items())[::-1]
    ordered = sorted(newest, key=lambda alert: alert[0] in live.marks)
    return {
        "firing": [_alert_fields(live, group, event, features) for group, event in ordered[:_MAX_ALERTS]],
        "ended": [
            {"group": event.group, "since": event.started_at, "until": event.ended_at}
            for event in reversed(live.ended_incidents)
        ],
        "marks": live.marks,
    }


def _status_fields(live: LiveGroups, name: str) -> dict[str, Any]:
    status, row = live.statuses[name], live.row(name)
    score = float(live.trends.latest_scores[row])
    return {
        "group": name,
        "state": status.state.value,
        "since": status.since,
        "far": status.out_of_range,
        "firing": status.incident is not None,
        "ts": float(live.trends.latest_ts[row]),
        "score": status.score if math.isnan(score) else score,
        # Left out where it is empty, as it is for nearly all of the groups that change each second.
        **({"stale": status.stale} if status.stale else {}),
        **({"fault": status.kind} if status.kind else {}),
        **({"check": status.detector} if status.detector not in _NO_CHECKS else {}),
        **({"shows": _round_offsets(status.shows_from)} if status.shows_from else {}),
    }


def _round_offsets(offsets: Sequence[float]) -> list[float | None]:
    """Return offsets (feature,) with two digits, which a person can take in; None if infinite."""
    return [round_significant(offset, 2) if math.isfinite(offset) else None for offset in offsets]


def _alert_fields(
    live: LiveGroups, group: str, event: AlertEvent | None, features: Sequence[Feature]
) -> dict[str, Any]:
    status = live.statuses[group]
    kind = status.kind  # and not the event's: it is told better as the incident goes on
    if event is None:  # an earlier process sent it; the incident's id ends with its start in ms
        started_at = int((status.incident or "").rpartition(":")[2]) / 1000
        unknown = {"score": None, "reason": "", "values": ""}
        return {"group": group, "since": started_at, "detector": status.detector, "kind": kind, **unknown}
    values = zip(features, event.window_values[-1], strict=True)
    return {
        "group": group,
        "since": event.started_at,
        "score": event.score,
        "kind": kind,
        "reason": event.reason,
        "detector": event.detector,
        "values": ", ".join(
            f"{feature.name} {value:.{_SIGNIFICANT_DIGITS}g} {feature.unit}" for feature, value in values
        ),
    }


def _to_lists(points: Points) -> list[Any]:
    """Return each point as a list: begin, highest score, values."""
    point_ts, max_scores, values = points
    table = np.concatenate(
        [point_ts[..., None], _round_significant(max_scores)[..., None], _round_significant(values)], axis=-1
    )  # (..., 2 + feature)
    rows: list[Any] = table.tolist()
    return rows


def _round_significant(numbers: NDArray[np.float32]) -> FloatArray:
    """Round numbers to `_SIGNIFICANT_DIGITS`."""
    exact = numbers.astype(np.float64)
    magnitude = np.abs(exact)
    magnitude = np.where(np.isfinite(magnitude) & (magnitude > 0), magnitude, 1.0)
    scale = 10.0 ** (_SIGNIFICANT_DIGITS - 1 - np.floor(np.log10(magnitude)))
    return np.round(exact * scale) / scale
