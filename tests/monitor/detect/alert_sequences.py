"""Builds sequences of judged windows, and feeds them to an alert stage."""

from dataclasses import dataclass

import numpy as np

from monitor.core.verdicts import AlertEvent, JudgedWindows
from monitor.detect.alerts import AlertStage

__all__ = ["SCORES", "THRESHOLD", "EventSummary", "Window", "feed", "judged_windows", "summarize"]

THRESHOLD = 0.5
SCORES = {"F": 0.9, "m": 0.4, "N": 0.1}
"""Scores of a Faulty window, of a Normal one just below the threshold, and of a clearly Normal one."""


@dataclass(frozen=True)
class Window:
    """One judged window, and whether its group's incident is acknowledged right after it."""

    group: str
    ts: float
    score: float
    acknowledged: bool = False


@dataclass
class EventSummary:
    """The parts of an event that depend on the rules."""

    status: str
    id: str
    ended_at: float | None = None
    repeat: int = 0
    ts: float = 0.0


def judged_windows(windows: list[Window]) -> JudgedWindows:
    """Return the windows as a batch of one-step windows."""
    ts = np.array([window.ts for window in windows])[:, None]  # (window, step)
    scores = np.array([window.score for window in windows])
    flags = np.zeros(len(windows), dtype=bool)
    groups = [window.group for window in windows]
    faulty = scores > THRESHOLD
    return JudgedWindows(groups, ts, ts[:, :, None], scores, faulty, flags, faulty.astype(np.uint8))


def feed(stage: AlertStage, windows: list[Window]) -> list[AlertEvent]:
    """Feed windows to the stage, in a new batch after each acknowledgement; return all events."""
    events, begin = [], 0
    for end, window in enumerate(windows, start=1):
        if window.acknowledged or end == len(windows):
            events += stage.update(judged_windows(windows[begin:end]))
            begin = end
        if window.acknowledged:
            assert stage.acknowledge(window.group) == stage.incident_id(window.group)
    return events


def summarize(events: list[AlertEvent]) -> list[EventSummary]:
    """Return the summary of each event."""
    return [
        EventSummary(event.status, event.id, event.ended_at, event.repeat, event.window_ts[-1])
        for event in events
    ]
