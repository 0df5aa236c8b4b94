"""The rules for windows and alerts, and their defaults, which are also the defaults of the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.core.patterns import matches_setting
from monitor.core.verdicts import Detector

__all__ = [
    "DEFAULT_ALERT_RULES",
    "DEFAULT_CHECK_RULES",
    "DEFAULT_MAX_SKEW",
    "DEFAULT_STRIDE",
    "DEFAULT_THRESHOLD",
    "AlertRules",
    "AlignmentRules",
    "CheckRules",
    "WindowRules",
    "default_max_gap",
    "default_stale_after",
]

DEFAULT_THRESHOLD = 0.5
"""Score above which a window is Faulty, if the bundle gives no other threshold."""
DEFAULT_MAX_SKEW = 5.0
"""Default of `WindowRules.max_skew`, seconds: a hundred times what clocks differ by that NTP sets, and what a
clock without it gains in three days. A reading that is ahead by less may be a false one; the next one at the
clock's time takes its place."""
DEFAULT_STRIDE = 1
"""Default of `WindowRules.stride`: every window is judged."""


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When an incident begins and ends, and how often its firing event is published.

    An *incident* is a period in which a group is reported as faulty.
    """

    raise_after: int = 1
    """Number of consecutive Faulty windows that begins an incident."""
    clear_after: int = 3
    """Number of consecutive Normal windows that ends an incident."""
    clear_below: float | None = None
    """Only Normal windows with a score below this count towards `clear_after`; None: all Normal windows
    count."""
    min_interval: float = 0.0
    """Seconds after the end of an incident during which no other incident of the group begins. If a run of
    Faulty windows lasts beyond this time, an incident begins then; its `started_at` is the time of the run's
    first window."""
    renotify_after: float = 0.0
    """Seconds after which a lasting incident's firing event is published again; 0: it is published once."""


DEFAULT_ALERT_RULES = AlertRules()

# A window continues although one or two readings were lost in transit: it still covers about the same time.
_DEFAULT_GAP_PERIODS = 3


def default_max_gap(sample_period: float) -> float:
    """Return the default of `WindowRules.max_gap`, in seconds, for a sample period in seconds."""
    return _DEFAULT_GAP_PERIODS * sample_period


# A minute without a reading is silence where readings come every few seconds.
_MIN_STALE_AFTER_S = 60.0


def default_stale_after(max_gap: float, sample_period: float) -> float:
    """Return after how many seconds without a reading a group is silent, if no setting says so.

    Silence restarts the window like a gap, so it must not begin before one. The sample period on top lets the
    next reading be late without the group being called silent.

    Parameters
    ----------
    max_gap : as in `WindowRules`, seconds.
    sample_period : of the bundle, seconds.
    """
    return max(_MIN_STALE_AFTER_S, max_gap + sample_period)


@dataclass(frozen=True, slots=True)
class WindowRules:
    """How readings are cut into windows, and which windows are judged."""

    max_gap: float
    """Seconds of event time between two readings of a group beyond which its window restarts."""
    max_skew: float = DEFAULT_MAX_SKEW
    """Seconds by which a reading's event time may be ahead of its arrival."""
    stride: int = DEFAULT_STRIDE
    """Every stride-th complete window is judged; the readings that complete the others are `skipped`."""


@dataclass(frozen=True, slots=True)
class CheckRules:
    """Which checks are on, and what `limits` knows of the sensors beside their limits."""

    limits: bool = True
    """Whether values that their sensors can't have are Faulty."""
    flat: bool = True
    """Whether a sensor that stands still while its neighbours move is Faulty."""
    drift: bool = True
    """Whether a sensor that leaves its neighbours over days is Faulty."""
    sentinels: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Feature -> numbers that its sensor sends in place of a value."""
    overrides: tuple[tuple[str, Mapping[str, bool]], ...] = ()
    """Pairs of a pattern of group names, and the checks that are on or off for matching groups in a way of
    their own; the first pattern that matches decides."""

    def is_on(self, detector: Detector, group: str) -> bool:
        """Return whether a check is on for a group."""
        name = detector.label
        for pattern, checks in self.overrides:
            if matches_setting(group, pattern):
                return checks.get(name, bool(getattr(self, name)))
        return bool(getattr(self, name))


DEFAULT_CHECK_RULES = CheckRules()


@dataclass(frozen=True, slots=True)
class AlignmentRules:
    """How single values are aligned into readings."""

    period: float
    """Seconds between two sampling times, which are the multiples of it since 1970."""
    wait: float
    """Seconds that a message may be under way."""
    max_age: tuple[float, ...]
    """Seconds that a value of each feature holds: (feature,)."""
    on_change: bool = True
    """Whether a value holds until its `max_age`; False: it counts for one sampling time."""
    is_ordered: bool = True
    """Whether each feature of a group comes on one topic only, so that the values of a feature arrive in the
    order in which they were sent."""
    max_skew: float = DEFAULT_MAX_SKEW
    """Seconds by which a value's event time may be ahead of its arrival."""
