"""Loads the settings of training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from monitor.config.merging import SettingsSpec, merge_settings
from training.config.initializers import INITIALIZERS
from training.config.settings import LAYERS_WITH_KERNEL, LSTM_LAYERS, FitSettings

__all__ = ["load_settings"]

_PARAMETERS = "random_normal(mean, stddev), random_uniform(minval, maxval)"
_NAMES = f"{', '.join(INITIALIZERS)}, {_PARAMETERS}"
_INITIALIZER_RULES = {
    "kernel_initializer": f"must be one initializer for all layers, or {LAYERS_WITH_KERNEL}, one for each, "
    f"out of {_NAMES}",
    "recurrent_initializer": f"must be one initializer for all LSTM layers, or {LSTM_LAYERS}, one for each, "
    f"out of {_NAMES}, orthogonal",
}
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
    if not problem["loc"] or problem["loc"][0] == "features":  # a rule of several settings, or of a table
        return None
    name = str(problem["loc"][0])
    if name == "class_weight":
        return "must be balanced, none, or two numbers above 0, for Normal and Faulty"
    if name in _INITIALIZER_RULES:
        return _INITIALIZER_RULES[name]
    if problem["type"] in _LENGTH_ERRORS:
        default = FitSettings.model_fields[name].default
        return f"must be {len(default)} numbers, such as {','.join(map(str, default))}"
    return None


_SPEC = SettingsSpec(model=FitSettings, env_prefix="TRAINING_", describe_rule=_describe_rule)
