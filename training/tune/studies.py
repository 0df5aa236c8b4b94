"""The two studies of `tune`, from the first trial to table, pictures and settings."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
import pandas as pd
from rich.console import Console

from training.config.settings import FitSettings
from training.console import task_progress
from training.data import output_folder
from training.data.prepare import PreparedData
from training.tune import objective, plots, trials
from training.tune.initializers import InitializerResult, collect_results
from training.tune.trials import NOTEBOOK_PARAMETERS, Plan, Trial

__all__ = ["compare_initializers", "run_search"]

_MAX_ROWS = 10


def run_search(
    study: optuna.Study,
    plan: Plan,
    prepared: PreparedData,
    settings: FitSettings,
    out: Path,
    console: Console,
) -> str:
    """Do a search; write `trials.csv`, `best.toml` and two pictures, and return the best trials as text.

    Table and settings are written after every trial, so an interrupted search leaves those, too.

    Parameters
    ----------
    study, plan : as of `tune`.
    prepared : without its test part.
    settings : what every trial has but for the parameters it tries.
    """

    def write(finished_trials: Sequence[Trial]) -> None:
        output_folder.write(
            out,
            {
                "trials.csv": _to_csv(_trials_table(finished_trials)),
                "best.toml": _best_settings_toml(finished_trials, settings),
            },
        )

    finished_trials = _run_trials(study, plan, prepared, settings, console, write)
    write(finished_trials)
    output_folder.write(
        out,
        {
            "history.png": plots.history(finished_trials),
            "parallel.png": plots.parallel_coordinates(finished_trials),
        },
    )
    table = _trials_table(finished_trials).sort_values("f1", ascending=False, kind="stable").head(_MAX_ROWS)
    all_faulty_f1 = objective.all_faulty_f1(prepared)
    return (
        f"{_format_table(table)}\nthe best {len(table)} of {len(finished_trials)} trials by F1 of Faulty on the validation part "
        f"({len(prepared.validation)} windows); calling all of them Faulty gives {all_faulty_f1:.4f}\n"
        f"{out}: trials.csv, history.png, parallel.png, and best.toml for `sensor-training fit --config`"
    )


def compare_initializers(
    study: optuna.Study,
    plan: Plan,
    prepared: PreparedData,
    settings: FitSettings,
    out: Path,
    console: Console,
) -> str:
    """Compare the initialisers; write `initializers.csv` and a picture, and return the table as text."""

    def write(finished_trials: Sequence[Trial]) -> None:
        output_folder.write(
            out, {"initializers.csv": _to_csv(_results_table(collect_results(finished_trials)))}
        )

    initializer_results = collect_results(_run_trials(study, plan, prepared, settings, console, write))
    all_faulty_f1 = objective.all_faulty_f1(prepared)
    table = _results_table(initializer_results)
    files = {
        "initializers.csv": _to_csv(table),
        "initializers.png": plots.initializers(initializer_results, all_faulty_f1),
    }
    output_folder.write(out, files)
    return (
        f"{_format_table(table)}\nF1 of Faulty on the validation part ({len(prepared.validation)} windows); calling "
        f"all of them Faulty gives {all_faulty_f1:.4f}\n{out}: initializers.csv, initializers.png"
    )


def _run_trials(
    study: optuna.Study,
    plan: Plan,
    prepared: PreparedData,
    settings: FitSettings,
    console: Console,
    write: Callable[[Sequence[Trial]], None],
) -> list[Trial]:
    finished_count = len(trials.finished_trials(study))
    if finished_count:
        console.print(f"goes on: {finished_count} of {len(plan)} trials are done")
    with task_progress.show_progress("trial", len(plan), finished_count, console) as progress:

        def measure(trial_settings: FitSettings) -> float:
            return objective.measure(
                prepared, trial_settings, [objective.EpochProgress(trial_settings.epochs, progress.update)]
            )

        def on_finished(trial: Trial) -> None:
            finished_trials = trials.finished_trials(study)
            write(finished_trials)
            best = trials.best_trial(finished_trials)
            progress.finish_task(f"F1 {trial.f1:.4f}  best {best.f1:.4f} (trial {best.number})")

        trials.run(study, plan, settings, measure, on_finished)
    return trials.finished_trials(study)


def _trials_table(finished_trials: Sequence[Trial]) -> pd.DataFrame:
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


def _results_table(initializer_results: Sequence[InitializerResult]) -> pd.DataFrame:
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


def _best_settings_toml(finished_trials: Sequence[Trial], settings: FitSettings) -> bytes:
    """Return the settings of the best trial, whole, as a file that `fit --config` takes."""
    best = trials.best_trial(finished_trials)
    chosen = trials.apply_parameters(settings, best.parameters)
    lines = [f"{name} = {json.dumps(value)}" for name, value in chosen.model_dump(mode="json").items()]
    head = f"# Trial {best.number} of {len(finished_trials)}: F1 {best.f1:.4f} on the validation part."
    return "\n".join([head, *lines, ""]).encode()


def _format_table(table: pd.DataFrame) -> str:
    return table.to_string(
        index=False,
        na_rep="",
        formatters={"learning_rate": "{:.2g}".format, "seconds": "{:.0f}".format}
        | dict.fromkeys(("dropout_1", "dropout_2"), "{:.2f}".format)
        | {name: "{:.4f}".format for name in table.columns if name.startswith("f1")},
    )


def _to_csv(table: pd.DataFrame) -> bytes:
    file = io.StringIO()
    table.to_csv(file, index=False)
    return file.getvalue().encode()
