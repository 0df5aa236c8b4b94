"""The rules of windows and alerts, with their defaults: the settings have the same ones."""

from dataclasses import dataclass

__all__ = ["DEFAULT_ALERT_RULES", "AlertRules", "WindowRules", "default_max_gap"]


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When an incident begins, when it ends, and how often it is said."""

    raise_after: int = 1
    """Consecutive Faulty windows that begin an incident."""
    clear_after: int = 3
    """Consecutive Normal windows that end it."""
    clear_below: float | None = None
    """Only windows with a score below this count towards the end; None: all Normal ones do."""
    min_interval: float = 0.0
    """Seconds after an incident's end in which none is published; the first Faulty window after them
    publishes one that goes on, dated from its own first Faulty window."""
    renotify_after: float = 0.0
    """Seconds after which an incident that goes on is said again; 0: it is said once."""


DEFAULT_ALERT_RULES = AlertRules()

# A reading or two may be lost on the way without the window losing its meaning.
_DEFAULT_GAP_PERIODS = 3


def default_max_gap(sample_period: float) -> float:
    """Return the gap, in seconds, beyond which a window starts afresh where no setting says another."""
    return _DEFAULT_GAP_PERIODS * sample_period


@dataclass(frozen=True, slots=True)
class WindowRules:
    """How readings become windows."""

    max_gap: float
    """Seconds of event time between two readings beyond which the window starts afresh."""
    max_skew: float = 60.0
    """Seconds that a reading's event time may lie ahead of its arrival."""
    stride: int = 1
    """Every how many readings a complete window is judged; the others are `skipped`."""
