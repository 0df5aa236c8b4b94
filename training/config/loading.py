"""Loads the settings of training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from monitor.config.merging import SettingsSpec, merge_settings
from training.config.settings import FitSettings

__all__ = ["load_settings"]

# pydantic's types of error for too many or too few numbers.
_LENGTH_ERRORS = {"missing", "too_long", "tuple_type"}


def load_settings(file: Path | None, flags: Mapping[str, Any] | None = None) -> FitSettings:
    """Merge flags over environment over file over defaults.

    Parameters
    ----------
    file : the TOML file, or None to do without.
    flags : what the command line gave, by setting; text as it was typed.

    Raises
    ------
    ConfigurationError : the file is missing, a setting unknown, a value of the wrong type or impossible.
    """
    return merge_settings(_SPEC, file, flags or {})


def _describe_rule(problem: ErrorDetails) -> str | None:
    """Return the rule of a setting with several numbers, where pydantic's text is about one of them."""
    name = str(problem["loc"][0])
    if name == "class_weight":
        return "must be balanced, none, or two numbers above 0, for Normal and Faulty"
    if problem["type"] in _LENGTH_ERRORS:
        default = FitSettings.model_fields[name].default
        return f"must be {len(default)} numbers, such as {','.join(map(str, default))}"
    return None


_SPEC = SettingsSpec(model=FitSettings, env_prefix="TRAINING_", describe_rule=_describe_rule)
