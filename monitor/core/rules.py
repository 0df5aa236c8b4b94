"""The rules for windows and alerts, with the defaults that the settings take over."""

from dataclasses import dataclass

__all__ = [
    "DEFAULT_ALERT_RULES",
    "DEFAULT_MAX_SKEW",
    "DEFAULT_STRIDE",
    "DEFAULT_THRESHOLD",
    "AlertRules",
    "WindowRules",
    "default_max_gap",
]

DEFAULT_THRESHOLD = 0.5
"""The score above which a window is Faulty, unless the bundle says otherwise."""
DEFAULT_MAX_SKEW = 60.0
"""Seconds."""
DEFAULT_STRIDE = 1


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When an incident begins, when it ends, and how often its firing event is published."""

    raise_after: int = 1
    """Number of consecutive Faulty windows that begins an incident."""
    clear_after: int = 3
    """Number of consecutive Normal windows that ends an incident."""
    clear_below: float | None = None
    """Only Normal windows with a score below this count towards `clear_after`; None: all Normal windows
    count."""
    min_interval: float = 0.0
    """Seconds after the end of an incident during which the group gets no new one. A run of Faulty windows
    that lasts beyond this time then begins an incident, whose `started_at` is the run's first window."""
    renotify_after: float = 0.0
    """Seconds after which a lasting incident's firing event is published again; 0: it is published once."""


DEFAULT_ALERT_RULES = AlertRules()

# One or two readings may be lost in transit, and the window still covers about the same time.
_DEFAULT_GAP_PERIODS = 3


def default_max_gap(sample_period: float) -> float:
    """Return the default of `WindowRules.max_gap`, in seconds, for a sample period in seconds."""
    return _DEFAULT_GAP_PERIODS * sample_period


@dataclass(frozen=True, slots=True)
class WindowRules:
    """How readings become windows."""

    max_gap: float
    """Seconds of event time between two readings of a group beyond which its window restarts."""
    max_skew: float = DEFAULT_MAX_SKEW
    """Seconds by which a reading's event time may be ahead of its arrival."""
    stride: int = DEFAULT_STRIDE
    """Every stride-th complete window is judged; the readings that complete the others are `skipped`."""
