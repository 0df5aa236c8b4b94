"""Loads the monitor's settings, and rejects topics and groups that contradict each other."""

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.config.error_text import Origin, format_error
from monitor.config.merging import SettingsSpec, merge_settings
from monitor.config.settings import AlertSettings, Settings
from monitor.config.source_conflicts import find_source_conflict, find_unmatched_source_group
from monitor.core.errors import ConfigurationError
from monitor.core.topics import Template, find_conflict, find_own_output, find_unmatched_group

__all__ = ["load_settings", "name_origin", "override_alerts"]

_SPEC = SettingsSpec(model=Settings, env_prefix="MONITOR_", env_delimiter="__")


def load_settings(file: Path | None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Merge flags over environment over file over defaults, and check topics and groups together.

    Parameters
    ----------
    file : the TOML file; None if there is none.
    flags : settings from the command line: top-level setting name -> value.

    Raises
    ------
    ConfigurationError : the file is missing, a setting is unknown, a value has the wrong type or is out of
        range, or topics and groups contradict each other.
    """
    settings = merge_settings(_SPEC, file, flags or {})
    origin = Origin(file, _SPEC.env_prefix, os.environ)
    templates = [Template(text) for text in settings.input.all_topics]
    sources, name = settings.input.sources, "sources" if settings.input.sources else "topics"
    reason = find_own_output(templates, "base_topic", settings.mqtt.base_topic)
    if not reason and settings.homeassistant.discovery:
        reason = find_own_output(templates, "discovery_prefix", settings.homeassistant.discovery_prefix)
    reason = reason or (find_source_conflict(sources) if sources else find_conflict(templates))
    if reason:
        raise ConfigurationError(f"{origin.describe(('input', name))}input.{name}: {reason}")
    reason = (
        find_unmatched_source_group(sources, settings.input.groups)
        if sources
        else find_unmatched_group(templates, settings.input.groups)
    )
    if reason:
        raise ConfigurationError(f"{origin.describe(('input', 'groups'))}input.groups: {reason}")
    return settings


def name_origin(text: str, file: Path | None) -> str:
    """Return an error about a setting, with the file or variable in front that gave the setting.

    Where a setting is used, that isn't known. A text that doesn't begin with a setting is returned as it is.

    Parameters
    ----------
    file : the settings file; None if there is none.
    """
    path = text.partition(":")[0].partition(" ")[0].split(".")
    if text.startswith(f"{file}: ") or len(path) == 1 or path[0] not in Settings.model_fields:
        return text
    return Origin(file, _SPEC.env_prefix, os.environ).describe(path).removeprefix("settings: ") + text


def override_alerts(alerts: AlertSettings, assignments: Sequence[str]) -> AlertSettings:
    """Change alert settings by assignments such as `raise_after=3`, with values as in TOML.

    Raises
    ------
    ConfigurationError : a name is not a setting of `alerts`, or its value is invalid.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigurationError(f"--propose {assignment}: expected NAME=VALUE, such as raise_after=3")
        try:
            changes[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            changes[name] = text  # a string whose quotes the shell has removed
    content = json.dumps({"alerts": alerts.model_dump() | changes}, default=str)
    try:
        return Settings.model_validate_json(content, strict=True).alerts
    except ValidationError as error:
        reason = format_error(error, Settings, Origin(file=None)).removeprefix("settings: ")
        raise ConfigurationError(f"--propose: {reason}") from None
