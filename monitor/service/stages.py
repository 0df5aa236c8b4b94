"""Builds the stages from settings and bundle."""

from monitor.bundle import Bundle
from monitor.config.settings import Alerts, Settings, WindowSettings
from monitor.core.errors import ConfigurationError
from monitor.core.rules import Rules, WindowRules, default_max_gap
from monitor.core.topics import Template
from monitor.detect.alerts import AlertStage
from monitor.detect.scoring import Chain, Scorer
from monitor.ingest.decode import DecodeStage

__all__ = ["alert_stage", "build_scoring", "decoder", "window_rules"]


def alert_stage(alerts: Alerts, threshold: float) -> AlertStage:
    """Return a stage with these settings for a bundle with this threshold.

    Raises
    ------
    ConfigurationError : a window that is Faulty would count towards the end of an incident.
    """
    usual = alerts.model_dump(exclude={"mode", "rules", "false_alarms"})
    special = []
    for rule in alerts.rules:
        own = rule.model_dump(exclude={"groups"}, exclude_none=True)
        special.append((rule.groups, Rules(**{**usual, **own})))
    rules = Rules(**usual)
    names = ["alerts", *(f"alerts.rules.{number}" for number in range(len(special)))]
    for name, one in zip(names, [rules, *(own for _, own in special)], strict=True):
        if one.clear_below is not None and one.clear_below > threshold:
            raise ConfigurationError(
                f"{name}.clear_below is {one.clear_below:g}, above the bundle's threshold of {threshold:g}; "
                "expected at most that"
            )
    return AlertStage(rules, special, every_window=alerts.mode == "every_window")


def decoder(settings: Settings, features: tuple[str, ...]) -> DecodeStage:
    """Build the decode stage.

    Raises
    ------
    ConfigurationError : `input.fields` doesn't fit the bundle's features.
    """
    templates = [Template(text) for text in settings.input.topics]
    try:
        return DecodeStage(templates, features, settings.input.fields)
    except ValueError as error:
        raise ConfigurationError(f"input.fields: {error}") from error


def window_rules(windows: WindowSettings, sample_period: float) -> WindowRules:
    """Return the rules for a bundle with this sample period, in seconds.

    Raises
    ------
    ConfigurationError : no window would ever fill.
    """
    if windows.max_gap is not None and windows.max_gap < sample_period:
        raise ConfigurationError(
            f"windows.max_gap is {windows.max_gap:g} s and the bundle's readings come every "
            f"{sample_period:g} s: no window would ever fill; expected more"
        )
    max_gap = windows.max_gap or default_max_gap(sample_period)
    return WindowRules(max_gap, windows.max_skew, windows.stride)


def build_scoring(
    bundle: Bundle, windows: WindowSettings, alerts: Alerts, scorer: Scorer | None = None
) -> Chain:
    """Return the stages with these settings for a bundle.

    Parameters
    ----------
    scorer : scores in the bundle's place.

    Raises
    ------
    ConfigurationError : with these settings no window would ever fill, or `clear_below` makes no sense.
    """
    manifest = bundle.manifest
    rules = window_rules(windows, manifest.sample_period)
    return Chain(bundle, rules, alert_stage(alerts, manifest.threshold), scorer)
