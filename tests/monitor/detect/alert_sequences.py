"""Judged windows of some groups in a row, and what the alert stage says of them."""

from dataclasses import dataclass

import numpy as np

from monitor.core.verdicts import AlertEvent, Judgements
from monitor.detect.alerts import AlertStage

__all__ = ["SCORES", "THRESHOLD", "Said", "Window", "judged", "say", "update"]

THRESHOLD = 0.5
SCORES = {"F": 0.9, "m": 0.4, "N": 0.1}
"""Faulty, Normal in the middle, plainly Normal."""


@dataclass(frozen=True)
class Window:
    """One judged window, and whether somebody acknowledges its group's incident right after it."""

    group: str
    ts: float
    score: float
    acknowledged: bool = False


@dataclass
class Said:
    """An event, as far as the rules decide it."""

    status: str
    id: str
    ended_at: float | None = None
    repeat: int = 0
    at: float = 0.0


def judged(windows: list[Window]) -> Judgements:
    """Return them as the model's verdicts."""
    ts = np.array([window.ts for window in windows])[:, None]  # (window, step)
    scores = np.array([window.score for window in windows])
    flags = np.zeros(len(windows), dtype=bool)
    groups = [window.group for window in windows]
    return Judgements(groups, ts, ts[:, :, None], scores, scores > THRESHOLD, flags)


def update(stage: AlertStage, windows: list[Window]) -> list[AlertEvent]:
    """Feed windows in as few batches as acknowledging between them allows."""
    events, begin = [], 0
    for at, window in enumerate(windows, start=1):
        if window.acknowledged or at == len(windows):
            events += stage.update(judged(windows[begin:at]))
            begin = at
        if window.acknowledged:
            assert stage.acknowledge(window.group) == stage.incident(window.group)
    return events


def say(events: list[AlertEvent]) -> list[Said]:
    """Reduce events to that."""
    return [
        Said(event.status, event.id, event.ended_at, event.repeat, event.window_ts[-1]) for event in events
    ]
