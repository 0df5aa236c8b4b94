"""Loads the settings of training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from monitor.config.merging import SettingsSpec, merge_settings
from training.config.settings import FitSettings

__all__ = ["load_settings"]

# pydantic's error types for a tuple with too many or too few numbers.
_LENGTH_ERRORS = {"missing", "too_long", "tuple_type"}


def load_settings(file: Path | None, flags: Mapping[str, Any] | None = None) -> FitSettings:
    """Merge the settings. Precedence: flags, environment, file, defaults.

    Parameters
    ----------
    file : the TOML file; None if there is none.
    flags : settings from the command line: setting name -> the unparsed text.

    Raises
    ------
    ConfigurationError : the file is missing, a setting is unknown, or a value has the wrong type or is out of
        range.
    """
    return merge_settings(_SPEC, file, flags or {})


def _describe_rule(problem: ErrorDetails) -> str | None:
    """Return the full rule of a setting with several numbers; None to keep pydantic's message.

    pydantic's message describes only the number that is wrong.
    """
    name = str(problem["loc"][0])
    if name == "features":
        return None
    if name == "class_weight":
        return "must be balanced, none, or two numbers above 0, for Normal and Faulty"
    if problem["type"] in _LENGTH_ERRORS:
        default = FitSettings.model_fields[name].default
        return f"must be {len(default)} numbers, such as {','.join(map(str, default))}"
    return None


_SPEC = SettingsSpec(model=FitSettings, env_prefix="TRAINING_", describe_rule=_describe_rule)
