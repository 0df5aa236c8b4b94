"""Builds the stages from settings and a bundle."""

from collections.abc import Sequence

from monitor.bundle import Bundle
from monitor.bundle.manifest import Judges
from monitor.config.settings import AlertSettings, CheckSettings, Settings, WindowSettings
from monitor.core.errors import ConfigurationError
from monitor.core.rules import AlertRules, CheckRules, WindowRules, default_max_gap, default_stale_after
from monitor.detect.alerts import AlertStage
from monitor.detect.model_stage import Scorer
from monitor.detect.scoring import Scoring
from monitor.service.parallel_scorer import ParallelScorer
from monitor.service.settings_to_sources import check_names
from monitor.telemetry.metrics import Metrics, TimedScorer

__all__ = [
    "build_alert_stage",
    "build_check_rules",
    "build_scoring",
    "build_timed_scoring",
    "build_window_rules",
    "choose_max_gap",
    "choose_stale_after",
]


# 3 sample periods of 0.1 s are more than 0.3 s in floating point.
_ROUNDING = 1e-9
# Microseconds that the networks "lstm" and "sensor-lstm" of `fit` take for a window on one thread.
_US_PER_WINDOW: dict[Judges, float] = {"window": 6.25, "sensor": 1.0}


def build_alert_stage(alerts: AlertSettings, threshold: float) -> AlertStage:
    """Return an alert stage with the given settings.

    Parameters
    ----------
    threshold : score above which a window is Faulty, from the bundle.

    Raises
    ------
    ConfigurationError : `clear_below` is above the threshold: a Faulty window would count towards the end
        of an incident.
    """
    defaults = alerts.model_dump(exclude={"mode", "rules", "false_alarms"})
    overrides = []
    for rule in alerts.rules:
        override = rule.model_dump(exclude={"groups"}, exclude_none=True)
        overrides.append((rule.groups, AlertRules(**{**defaults, **override})))
    rules = AlertRules(**defaults)
    names = ["alerts", *(f"alerts.rules.{number}" for number in range(len(overrides)))]
    for name, checked_rules in zip(names, [rules, *(override for _, override in overrides)], strict=True):
        if checked_rules.clear_below is not None and checked_rules.clear_below > threshold:
            raise ConfigurationError(
                f"{name}.clear_below is {checked_rules.clear_below:g}, above the bundle's threshold of "
                f"{threshold:g}; expected at most that"
            )
    return AlertStage(rules, overrides, every_window=alerts.mode == "every_window")


def build_window_rules(windows: WindowSettings, sample_period: float) -> WindowRules:
    """Return the window rules for a bundle with this sample period, in seconds.

    Raises
    ------
    ConfigurationError : `max_gap` is below the sample period: no window would ever fill.
    """
    if windows.max_gap is not None and windows.max_gap < sample_period:
        raise ConfigurationError(
            f"windows.max_gap is {windows.max_gap:g} s and the bundle's readings come every "
            f"{sample_period:g} s: no window would ever fill; expected more"
        )
    return WindowRules(choose_max_gap(windows, sample_period), windows.max_skew, windows.stride)


def choose_max_gap(windows: WindowSettings, sample_period: float) -> float:
    """Return `WindowRules.max_gap` for a bundle with this sample period; both in seconds."""
    return windows.max_gap or default_max_gap(sample_period)


def choose_stale_after(windows: WindowSettings, sample_period: float) -> float:
    """Return after how many seconds without a reading a group is silent.

    Parameters
    ----------
    sample_period : of the bundle, seconds.

    Raises
    ------
    ConfigurationError : `stale_after` is below `max_gap`: silence would restart windows that have no gap; or
        as in `build_window_rules`.
    """
    max_gap = build_window_rules(windows, sample_period).max_gap
    if windows.stale_after is None:
        return default_stale_after(max_gap, sample_period)
    if windows.stale_after < max_gap * (1 - _ROUNDING):
        origin = "" if windows.max_gap else f", 3 sample periods of the bundle ({sample_period:g} s)"
        raise ConfigurationError(
            f"windows.stale_after is {windows.stale_after:g} s and windows.max_gap {max_gap:g} s{origin}: "
            "silence would restart windows that have no gap; expected at least max_gap"
        )
    return windows.stale_after


def build_check_rules(checks: CheckSettings, features: Sequence[str]) -> CheckRules:
    """Return the rules of the checks.

    Parameters
    ----------
    features : names of the bundle's features.

    Raises
    ------
    ConfigurationError : `checks.sentinels` names an unknown feature.
    """
    check_names("checks.sentinels", checks.sentinels, features)
    return CheckRules(
        **checks.model_dump(exclude={"rules"}),
        overrides=tuple(
            (rule.groups, rule.model_dump(exclude={"groups"}, exclude_none=True)) for rule in checks.rules
        ),
    )


def build_scoring(
    bundle: Bundle,
    windows: WindowSettings,
    alerts: AlertSettings,
    scorer: Scorer | None = None,
    *,
    checks: CheckSettings | None = None,
) -> Scoring:
    """Return the stages for a bundle, with the given settings.

    Parameters
    ----------
    scorer : replaces the bundle's classifier.
    checks : None: the defaults.

    Raises
    ------
    ConfigurationError : as in `build_window_rules`, `choose_stale_after`, `build_alert_stage` and
        `build_check_rules`.
    """
    manifest = bundle.manifest
    choose_stale_after(windows, manifest.sample_period)  # refused by every command alike
    rules = build_window_rules(windows, manifest.sample_period)
    check_rules = build_check_rules(checks or CheckSettings(), manifest.feature_names)
    return Scoring(bundle, rules, build_alert_stage(alerts, manifest.threshold), check_rules, scorer)


def build_timed_scoring(bundle: Bundle, settings: Settings, metrics: Metrics) -> Scoring:
    """Return the stages for the daemon: scoring uses several cores, and its duration is measured.

    Raises
    ------
    ConfigurationError : as in `build_scoring`.
    """
    us_per_window = _US_PER_WINDOW[bundle.manifest.judges]
    scorer = TimedScorer(ParallelScorer(bundle.classifier, us_per_window), metrics.inference_seconds)
    return build_scoring(bundle, settings.windows, settings.alerts, scorer, checks=settings.checks)
