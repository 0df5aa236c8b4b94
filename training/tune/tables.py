"""Trials and initialisers as tables, and the best settings as TOML."""

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from training.config.settings import FitSettings
from training.tune import trials
from training.tune.initializers import InitializerResult
from training.tune.trials import NOTEBOOK_PARAMETERS, Trial

__all__ = ["build_initializers_table", "build_trials_table", "format_best_settings", "format_table", "to_csv"]


def build_trials_table(finished_trials: Sequence[Trial]) -> pd.DataFrame:
    """Return a row for each trial: number, origin, parameters, F1 score and duration in seconds."""
    return pd.DataFrame(
        [
            {
                "trial": trial.number,
                "from": "notebook" if trial.number <= len(NOTEBOOK_PARAMETERS) else "search",
                **trial.parameters,
                "f1": trial.f1,
                "seconds": round(trial.seconds, 1),
            }
            for trial in finished_trials
        ]
    )


def build_initializers_table(initializer_results: Sequence[InitializerResult]) -> pd.DataFrame:
    """Return a row for each initialiser: formula, number of seeds, statistics of the F1 score."""
    return pd.DataFrame(
        [
            {
                "initializer": result.name,
                "formula": result.formula,
                "seeds": len(result.f1_scores),
                "f1_mean": result.mean,
                "f1_spread": result.std,
                "f1_lowest": min(result.f1_scores),
                "f1_highest": max(result.f1_scores),
            }
            for result in initializer_results
        ]
    )


def format_best_settings(finished_trials: Sequence[Trial], settings: FitSettings) -> bytes:
    """Return all settings of the best trial as a TOML file for `sensor-training fit --config`.

    Parameters
    ----------
    settings : the settings that all trials share.
    """
    best = trials.select_best(finished_trials)
    chosen = trials.apply_parameters(settings, best.parameters)
    values = chosen.model_dump(mode="json", exclude_none=True)
    features = values.pop("features")  # tables, which stand at the end of a TOML file
    lines = _format_values(values)
    for feature in features:
        lines += ["", "[[features]]", *_format_values(feature)]
    head = f"# Trial {best.number} of {len(finished_trials)}: F1 {best.f1:.4f} on the validation part."
    return "\n".join([head, *lines, ""]).encode()


def _format_values(values: Mapping[str, object]) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in values.items()]


def format_table(table: pd.DataFrame) -> str:
    """Return a table of trials or initialisers as text for a terminal."""
    return table.to_string(
        index=False,
        na_rep="",
        formatters={"learning_rate": "{:.2g}".format, "seconds": "{:.0f}".format}
        | dict.fromkeys(("dropout_1", "dropout_2"), "{:.2f}".format)
        | {name: "{:.4f}".format for name in table.columns if name.startswith("f1")},
    )


def to_csv(table: pd.DataFrame) -> bytes:
    """Return a table as the bytes of a CSV file."""
    return table.to_csv(index=False).encode()
