"""Merges settings from flags, environment, a TOML file and defaults: for the monitor and for training."""

import json
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from monitor.config.error_text import Origin, RuleDescriber, format_error, no_rule_description, suggest_name
from monitor.config.foreign_variables import is_foreign
from monitor.core.errors import ConfigurationError

__all__ = ["SettingsSpec", "merge_settings"]

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SettingsSpec(Generic[Model]):
    """The settings model to fill, and how its environment variables are named and parsed."""

    model: type[Model]
    """The settings model with its rules and defaults; it must reject unknown settings."""
    env_prefix: str
    """Prefix of all environment variables, in upper case."""
    env_delimiter: str | None = None
    """Separator between section and setting in a variable's name. If set, lists and tables are given as JSON.
    If None, there are no sections, and the model's own validators parse lists and tables."""
    describe_rule: RuleDescriber = no_rule_description
    """Function that returns a full description of a setting's rule, used in errors instead of pydantic's
    message; None to keep pydantic's message."""


def merge_settings(spec: SettingsSpec[Model], file: Path | None, flags: Mapping[str, Any]) -> Model:
    """Merge flags over environment over file over defaults.

    Parameters
    ----------
    file : the TOML file; None if there is none.
    flags : settings from the command line: top-level setting name -> the unparsed text.

    Raises
    ------
    ConfigurationError : the file is missing, a setting is unknown, or a value has the wrong type or is out of
        range.
    """
    file_sources: list[TomlConfigSettingsSource] = []  # filled below, because it needs the class

    # pydantic-settings takes its sources from the class, so each merge needs its own class.
    class Merged(spec.model, BaseSettings):  # type: ignore[name-defined, misc]
        model_config = SettingsConfigDict(
            env_prefix=spec.env_prefix,
            env_nested_delimiter=spec.env_delimiter,
            enable_decoding=spec.env_delimiter is not None,
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],  # noqa: ARG003
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, *file_sources

    if file:
        file_sources.append(_open_toml(file, Merged))
        _check_file(spec, file, file_sources[0].toml_data)
    _check_environment(spec)
    try:
        merged = Merged(**flags)
    except SettingsError as error:
        variable = _find_invalid_variable(spec, error)
        raise ConfigurationError(
            f"environment {variable}: is not valid JSON; lists and tables must be given as JSON, "
            'such as ["a/{x}"] or {"a": 1}'
        ) from error
    except ValidationError as error:
        origin = Origin(file, spec.env_prefix, os.environ, flags)
        raise ConfigurationError(format_error(error, spec.model, origin, spec.describe_rule)) from None
    return spec.model(**merged.model_dump())


def _open_toml(file: Path, settings_class: type[BaseSettings]) -> TomlConfigSettingsSource:
    try:
        # TomlConfigSettingsSource silently ignores a path that is missing or is not a regular file.
        if not stat.S_ISREG(file.stat().st_mode):
            raise ConfigurationError(f"{file}: is not a regular file; expected a TOML file")
        return TomlConfigSettingsSource(settings_class, file)
    except OSError as error:
        raise ConfigurationError(f"{file}: can't be read: {error.strerror}; expected a TOML file") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: is not UTF-8 text; expected a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file}: is not TOML: {error}") from error


def _check_file(spec: SettingsSpec[Any], file: Path, content: Mapping[str, Any]) -> None:
    """Check the file's values with strict types.

    The number 1883 may be text in an environment variable, but not in the file.
    """
    try:
        spec.model.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise ConfigurationError(format_error(error, spec.model, Origin(file), spec.describe_rule)) from None


def _check_environment(spec: SettingsSpec[Any]) -> None:
    names = [name.upper() for name in spec.model.model_fields]
    nested = [
        f"{name}{spec.env_delimiter}{setting}".upper()
        for name, section in spec.model.model_fields.items()
        for setting in getattr(section.annotation, "model_fields", ())
    ]
    for variable, value in os.environ.items():
        name = variable.upper().removeprefix(spec.env_prefix)
        if not variable.upper().startswith(spec.env_prefix) or is_foreign(variable, value, spec.env_prefix):
            continue
        if (name.split(spec.env_delimiter)[0] if spec.env_delimiter else name) in names:
            continue
        closest_name = suggest_name(name, {*names, *nested})
        hint = (
            f"did you mean {spec.env_prefix + closest_name!r}?"
            if closest_name
            else f"a valid name is, for example, {spec.env_prefix}{[*nested, *names][0]}"
        )
        raise ConfigurationError(f"environment {variable}: unknown setting; {hint}")


def _find_invalid_variable(spec: SettingsSpec[Any], error: SettingsError) -> str:
    """Return the name of the variable that is not valid JSON.

    The exception holds only the text, so the name is looked up by value.
    """
    text = getattr(error.__cause__, "doc", None)
    return next(
        key for key, value in os.environ.items() if key.upper().startswith(spec.env_prefix) and value == text
    )
