"""Reads the settings from file, environment and flags, and says in one line what is wrong with them."""

import difflib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsError

from monitor.config.settings import AlertSettings, FileSettings, Settings
from monitor.core.errors import ConfigurationError
from monitor.core.topics import Template, find_conflict, find_own_output, find_unmatched_group

__all__ = ["load_settings", "override_alerts"]

_PREFIX = "MONITOR_"
# systemd sets these for a unit that another one triggers; they are no settings of ours.
_SYSTEMD_VARIABLES = {
    "MONITOR_SERVICE_RESULT",
    "MONITOR_EXIT_CODE",
    "MONITOR_EXIT_STATUS",
    "MONITOR_INVOCATION_ID",
    "MONITOR_UNIT",
}


def load_settings(file: Path | None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Merge flags over environment over file over defaults.

    Parameters
    ----------
    file : the TOML file, or None to do without.
    flags : settings given on the command line, by top-level name.

    Raises
    ------
    ConfigurationError : a file is missing, a key unknown, a value of the wrong type or impossible.
    """
    content = _read_toml(file) if file else {}
    if file:
        _check_file(file, content)
    _check_environment()

    class Merged(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, content)

    try:
        settings = Merged(**(flags or {}))
    except SettingsError as error:
        raise ConfigurationError(
            f"environment {_find_invalid_variable(error)}: is not JSON; expected it there for lists and tables, such as "
            '["a/{x}"] or {"a": 1}'
        ) from error
    except ValidationError as error:
        raise ConfigurationError(_format_error(error, file, os.environ)) from None
    templates = [Template(text) for text in settings.input.topics]
    reason = find_conflict(templates, settings.mqtt.base_topic)
    if not reason and settings.homeassistant.discovery:
        reason = find_own_output(templates, "discovery_prefix", settings.homeassistant.discovery_prefix)
    if reason:
        raise ConfigurationError(
            f"{_format_source(('input', 'topics'), file, os.environ)}input.topics: {reason}"
        )
    if reason := find_unmatched_group(templates, settings.input.groups):
        raise ConfigurationError(
            f"{_format_source(('input', 'groups'), file, os.environ)}input.groups: {reason}"
        )
    return settings


def override_alerts(alerts: AlertSettings, assignments: Sequence[str]) -> AlertSettings:
    """Change alert settings by words such as `raise_after=3`, values as in TOML.

    Raises
    ------
    ConfigurationError : a word is no setting of alerts, or its value is impossible.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigurationError(f"--propose {assignment}: expected NAME=VALUE, such as raise_after=3")
        try:
            changes[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            changes[name] = text  # a word without its quotes, which a shell takes off
    content = json.dumps({"alerts": alerts.model_dump() | changes}, default=str)
    try:
        return FileSettings.model_validate_json(content, strict=True).alerts
    except ValidationError as error:
        raise ConfigurationError(
            f"--propose: {_format_error(error, None, {}).removeprefix('settings: ')}"
        ) from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigurationError(f"{file}: can't be read: {error.strerror}; expected a TOML file") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: is not UTF-8 text; expected a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file}: is not TOML: {error}") from error


def _check_file(file: Path, content: dict[str, Any]) -> None:
    """Hold the file to exact types: the environment may say "1883", a file must say 1883."""
    try:
        FileSettings.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise ConfigurationError(_format_error(error, file, {})) from None


def _check_environment() -> None:
    sections = {name.upper() for name in FileSettings.model_fields}
    for variable in os.environ:
        name = variable.upper().removeprefix(_PREFIX)
        if (
            name == variable.upper()
            or variable.upper() in _SYSTEMD_VARIABLES
            or name.split("__")[0] in sections
        ):
            continue
        close = _closest_name(name, sections | _nested_variables())
        hint = f"did you mean {_PREFIX + close!r}?" if close else f"expected one like {_PREFIX}MQTT__HOST"
        raise ConfigurationError(f"environment {variable}: unknown setting; {hint}")


def _nested_variables() -> set[str]:
    """Return what the variables of the settings in a section are called, behind what all begin with."""
    return {
        f"{section}__{name}".upper()
        for section, field in FileSettings.model_fields.items()
        for name in getattr(field.annotation, "model_fields", ())
    }


def _format_error(error: ValidationError, file: Path | None, environment: Mapping[str, str]) -> str:
    """Say the first problem: where it stands, the rule, the offending value."""
    problems = error.errors()
    first = problems[0]
    name = ".".join(str(part) for part in first["loc"])
    source = _format_source(first["loc"], file, environment)
    suffix = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    rule = _format_rule(first)
    separator = "" if not name else " " if rule.startswith(("must ", "is ")) else ": "
    return f"{source}{name}{separator}{rule}{suffix}"


def _find_invalid_variable(error: SettingsError) -> str:
    """Return the variable whose text is no JSON: the error tells the section and, as its cause, the text."""
    text = getattr(error.__cause__, "doc", None)
    return next(key for key, value in os.environ.items() if key.upper().startswith(_PREFIX) and value == text)


def _format_source(location: Sequence[int | str], file: Path | None, environment: Mapping[str, str]) -> str:
    """Return what gave a setting: an environment variable, for it alone or its whole table, or the file."""
    variables = {key.upper() for key in environment}
    for length in range(len(location), 0, -1):
        variable = _PREFIX + "__".join(str(part) for part in location[:length]).upper()
        if variable in variables:
            return f"environment {variable}: "
    return f"{file}: " if file else "settings: "


def _format_rule(problem: ErrorDetails) -> str:
    if problem["type"] == "extra_forbidden":
        return "is an unknown setting" + _format_suggestion(str(problem["loc"][-1]), _known_names(problem))
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] in {"too_short", "string_too_short"}:
        return "must not be empty"
    text = (
        problem["msg"]
        .replace("Input should", "should")
        .replace("Value error, ", "")
        .replace("should", "must")
    )
    value = problem["input"]
    secret = {"password", "token"} & set(problem["loc"])
    if problem["type"] == "value_error" or secret or not isinstance(value, (str, int, float, bool)):
        return text
    return f"{text}, not {value!r}"


def _known_names(problem: ErrorDetails) -> set[str]:
    """Return the names that are known where an unknown one stands."""
    model: Any = FileSettings
    for part in problem["loc"][:-1]:  # a number where it is one of several
        model = get_args(model)[0] if isinstance(part, int) else model.model_fields[part].annotation
    return set(model.model_fields)


def _format_suggestion(name: str, known: set[str]) -> str:
    close = _closest_name(name, known)
    return f"; did you mean {close!r}?" if close else f"; expected one of {', '.join(sorted(known))}"


def _closest_name(name: str, known: set[str]) -> str:
    """Return the one of these names that is most like another; "" where none is."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), "")
