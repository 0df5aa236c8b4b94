"""Builds the stages from settings and a bundle."""

from monitor.bundle import Bundle
from monitor.config.settings import AlertSettings, Settings, WindowSettings
from monitor.core.errors import ConfigurationError
from monitor.core.rules import AlertRules, WindowRules, default_max_gap
from monitor.detect.alerts import AlertStage
from monitor.detect.scoring import Scorer, Scoring
from monitor.service.parallel_scorer import ParallelScorer
from monitor.telemetry.metrics import Metrics, TimedScorer

__all__ = [
    "build_alert_stage",
    "build_scoring",
    "build_timed_scoring",
    "build_window_rules",
]


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
    max_gap = windows.max_gap or default_max_gap(sample_period)
    return WindowRules(max_gap, windows.max_skew, windows.stride)


def build_scoring(
    bundle: Bundle, windows: WindowSettings, alerts: AlertSettings, scorer: Scorer | None = None
) -> Scoring:
    """Return the stages for a bundle, with the given settings.

    Parameters
    ----------
    scorer : replaces the bundle's classifier.

    Raises
    ------
    ConfigurationError : as in `build_window_rules` and `build_alert_stage`.
    """
    manifest = bundle.manifest
    rules = build_window_rules(windows, manifest.sample_period)
    return Scoring(bundle, rules, build_alert_stage(alerts, manifest.threshold), scorer)


def build_timed_scoring(bundle: Bundle, settings: Settings, metrics: Metrics) -> Scoring:
    """Return the stages for the daemon: scoring uses several cores, and its duration is measured.

    Raises
    ------
    ConfigurationError : as in `build_scoring`.
    """
    scorer = TimedScorer(ParallelScorer(bundle.classifier), metrics.inference_seconds)
    return build_scoring(bundle, settings.windows, settings.alerts, scorer)
