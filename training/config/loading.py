"""Reads the settings from flags, environment and file, and says in one line what is wrong with them."""

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from monitor.core.errors import InvalidInputError
from training.config.settings import FitSettings

__all__ = ["load"]

_PREFIX = "TRAINING_"
# What pydantic calls more or fewer numbers than a setting has.
_LENGTH_ERRORS = {"missing", "too_long", "tuple_type"}


def load(file: Path | None, flags: Mapping[str, Any] | None = None) -> FitSettings:
    """Merge flags over environment over file over defaults.

    Parameters
    ----------
    file : the TOML file, or None to do without.
    flags : what the command line gave, by setting; text as it was typed.

    Raises
    ------
    InvalidInputError : the file is missing, a setting unknown, a value of the wrong type or impossible.
    """
    content = _read(file) if file else {}
    flag_values = dict(flags or {})
    _check_environment()

    class Merged(FitSettings, BaseSettings):
        # Without decoding, TRAINING_UNITS=128,64,32 is as good as the flag.
        model_config = SettingsConfigDict(env_prefix=_PREFIX, enable_decoding=False)

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
        merged = Merged(**flag_values)
    except ValidationError as error:
        raise InvalidInputError(_explain(error, file, flag_values)) from None
    return FitSettings(**merged.model_dump())


def _read(file: Path) -> dict[str, Any]:
    """Read the file and hold it to exact types: a flag may say "30", a file must say 30."""
    try:
        content = tomllib.loads(file.read_text())
    except OSError as error:
        raise InvalidInputError(f"{file}: can't be read: {error.strerror}; expected a TOML file") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{file}: is not UTF-8 text; expected a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"{file}: is not TOML: {error}") from error
    try:
        FitSettings.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise InvalidInputError(f"{file}: {_format_error(error)}") from None
    return content


def _check_environment() -> None:
    known = {f"{_PREFIX}{name}".upper() for name in FitSettings.model_fields}
    for variable in os.environ:
        if variable.upper().startswith(_PREFIX) and variable.upper() not in known:
            raise InvalidInputError(f"environment {variable}: unknown setting{_suggest(variable, known)}")


def _explain(error: ValidationError, file: Path | None, flags: Mapping[str, Any]) -> str:
    name = str(error.errors()[0]["loc"][0])
    if name in flags:
        return f"--{_format_error(error).replace('_', '-', name.count('_'))}"
    variable = f"{_PREFIX}{name}".upper()
    if variable in {key.upper() for key in os.environ}:
        return f"environment {variable}: {_format_error(error)}"
    return f"{file or 'settings'}: {_format_error(error)}"


def _format_error(error: ValidationError) -> str:
    """Say the first problem: the setting, the rule, the offending value."""
    first = error.errors()[0]
    # What a union tried comes after the setting's name, and tells a user nothing.
    parts = [str(part) for part in first["loc"] if isinstance(part, int) or part in FitSettings.model_fields]
    rule = _format_rule(first)
    if first["type"] in _LENGTH_ERRORS:
        parts = parts[:1]
    name = ".".join(parts) or str(first["loc"][0])
    return f"{name} {rule}" if rule.startswith(("must ", "is ")) else f"{name}: {rule}"


def _format_rule(problem: ErrorDetails) -> str:
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        return "is an unknown setting" + _suggest(name, set(FitSettings.model_fields))
    if name == "class_weight":
        return "must be balanced, none, or two numbers above 0, for Normal and Faulty"
    if problem["type"] in _LENGTH_ERRORS:
        default = FitSettings.model_fields[name].default
        return f"must be {len(default)} numbers, such as {','.join(map(str, default))}"
    text = problem["msg"].replace("Input should", "must")
    value = problem["input"]
    return f"{text}, not {value!r}" if isinstance(value, (str, int, float, bool)) else text


def _suggest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(sorted(known))}"
