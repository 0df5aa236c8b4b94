"""What is known of groups and alerts, as the page's script takes it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import Feature
from monitor.core.arrays import FloatArray
from monitor.core.verdicts import AlertEvent
from monitor.web.live import Live
from monitor.web.trends import Points

__all__ = ["alerts", "groups", "histories"]

# Enough for a sensor, and a third of the bytes of a number with all its digits.
_DIGITS = 5
# Alerts that are spelled out; there is no screen for more, and the groups' table shows all.
_MOST_ALERTS = 50


def groups(live: Live, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return where groups stand, with the newest point of each one's history, or all where there are more."""
    jumped = [name for name in names if live.trends.jumped[live.row(name)]]
    if jumped:
        rest = [name for name in names if not live.trends.jumped[live.row(name)]]
        return histories(live, jumped) + (groups(live, rest) if rest else [])
    points = _listed(live.trends.newest([live.row(name) for name in names]))
    return [{**_line(live, name), "point": point} for name, point in zip(names, points, strict=True)]


def histories(live: Live, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return where groups stand, with all of each one's history."""
    points = live.trends.all([live.row(name) for name in names])
    missing = np.count_nonzero(np.isnan(points[0]), axis=1)  # they come first: (group,)
    return [
        {**_line(live, name), "points": listed[first:]}
        for name, listed, first in zip(names, _listed(points), missing.tolist(), strict=True)
    ]


def alerts(live: Live, features: Sequence[Feature]) -> dict[str, Any]:
    """Return the open incidents, those that ended last, and what operators said.

    Of the open ones those that nobody takes care of come first, and of these the newest.
    """
    newest = list(live.alerts.items())[::-1]
    ordered = sorted(newest, key=lambda alert: alert[0] in live.marks)
    return {
        "firing": [_alert(live, group, event, features) for group, event in ordered[:_MOST_ALERTS]],
        "ended": [
            {"group": event.group, "since": event.started_at, "until": event.ended_at}
            for event in reversed(live.ended)
        ],
        "marks": live.marks,
    }


def _line(live: Live, name: str) -> dict[str, Any]:
    line, row = live.lines[name], live.row(name)
    score = float(live.trends.scores[row])
    return {
        "group": name,
        "state": line.state.value,
        "since": line.since,
        "far": line.out_of_range,
        "firing": line.incident is not None,
        "ts": float(live.trends.ts[row]),
        "score": line.score if math.isnan(score) else score,
    }


def _alert(live: Live, group: str, event: AlertEvent | None, features: Sequence[Feature]) -> dict[str, Any]:
    if event is None:  # an earlier process sent it; the id tells when it began
        began = int((live.lines[group].incident or "").rpartition(":")[2]) / 1000
        return {"group": group, "since": began, "score": None, "reason": "", "values": ""}
    values = zip(features, event.window_values[-1], strict=True)
    return {
        "group": group,
        "since": event.started_at,
        "score": event.score,
        "reason": event.reason,
        "values": ", ".join(
            f"{feature.name} {value:.{_DIGITS}g} {feature.unit}" for feature, value in values
        ),
    }


def _listed(points: Points) -> list[Any]:
    """Return points as lists, each of when it began, score and values."""
    begins, worst, values = points
    table = np.concatenate([begins[..., None], _short(worst)[..., None], _short(values)], axis=-1)
    listed: list[Any] = table.tolist()
    return listed


def _short(numbers: NDArray[np.float32]) -> FloatArray:
    """Return numbers with so many digits as anybody reads."""
    exact = numbers.astype(np.float64)
    size = np.abs(exact)
    size = np.where(np.isfinite(size) & (size > 0), size, 1.0)
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(size)))
    return np.round(exact * scale) / scale
