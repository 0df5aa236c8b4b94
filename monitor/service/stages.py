"""Builds the alert stage from the settings."""

from monitor.config.settings import Alerts, Settings
from monitor.core.errors import ConfigurationError
from monitor.core.topics import Template
from monitor.detect.alerts import AlertStage, Rules
from monitor.ingest.decode import DecodeStage

__all__ = ["alert_stage", "decoder"]


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
