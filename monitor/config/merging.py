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

from monitor.config.error_text import Origin, RuleText, format_error, suggest_name, use_pydantic_text
from monitor.config.foreign_variables import is_foreign
from monitor.core.errors import ConfigurationError

__all__ = ["SettingsSpec", "merge_settings"]

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SettingsSpec(Generic[Model]):
    """What to merge, and how its variables are called and written."""

    model: type[Model]
    """All settings with their rules and defaults; it forbids unknown ones."""
    env_prefix: str
    """What all environment variables begin with, in capitals."""
    env_delimiter: str | None = None
    """What stands between a section and its setting in a variable, whose value is JSON where the setting is a
    list or a table. None: there are no sections, and the model takes such values apart itself."""
    describe_rule: RuleText = use_pydantic_text
    """Returns the rule of a setting as a whole where pydantic's text would tell a user nothing, else None."""


def merge_settings(spec: SettingsSpec[Model], file: Path | None, flags: Mapping[str, Any]) -> Model:
    """Merge flags over environment over file over defaults.

    Parameters
    ----------
    file : the TOML file, or None to do without.
    flags : settings given on the command line, by top-level name; text as it was typed.

    Raises
    ------
    ConfigurationError : a file is missing, a setting unknown, a value of the wrong type or impossible.
    """
    sources: list[TomlConfigSettingsSource] = []

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
            return init_settings, env_settings, *sources

    if file:
        sources.append(_open_toml(file, Merged))
        _check_file(spec, file, sources[0].toml_data)
    _check_environment(spec)
    try:
        merged = Merged(**flags)
    except SettingsError as error:
        variable = _find_invalid_variable(spec, error)
        raise ConfigurationError(
            f"environment {variable}: is not JSON; expected it there for lists and tables, "
            'such as ["a/{x}"] or {"a": 1}'
        ) from error
    except ValidationError as error:
        origin = Origin(file, spec.env_prefix, os.environ, flags)
        raise ConfigurationError(format_error(error, spec.model, origin, spec.describe_rule)) from None
    return spec.model(**merged.model_dump())


def _open_toml(file: Path, settings_class: type[BaseSettings]) -> TomlConfigSettingsSource:
    try:
        # The source reads nothing, without an error, from a path that is missing or a folder or a pipe.
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
    """Hold the file to exact types: the environment may say "1883", a file must say 1883."""
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
        if name == variable.upper() or is_foreign(variable, value, spec.env_prefix):
            continue
        if (name.split(spec.env_delimiter)[0] if spec.env_delimiter else name) in names:
            continue
        close = suggest_name(name, {*names, *nested})
        hint = (
            f"did you mean {spec.env_prefix + close!r}?"
            if close
            else f"expected one like {spec.env_prefix}{[*nested, *names][0]}"
        )
        raise ConfigurationError(f"environment {variable}: unknown setting; {hint}")


def _find_invalid_variable(spec: SettingsSpec[Any], error: SettingsError) -> str:
    """Return the variable whose text is not JSON: the error's cause has the text, but not the name."""
    text = getattr(error.__cause__, "doc", None)
    return next(
        key for key, value in os.environ.items() if key.upper().startswith(spec.env_prefix) and value == text
    )
