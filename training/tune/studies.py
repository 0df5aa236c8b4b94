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
from training.data.prepare import Prepared
from training.tune import objective, plots, trials
from training.tune.initializers import Result, results
from training.tune.trials import NOTEBOOK, Plan, Trial

__all__ = ["initializers", "search"]

_SHOWN = 10


def search(
    study: optuna.Study,
    plan: Plan,
    prepared: Prepared,
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

    def write(done: Sequence[Trial]) -> None:
        output_folder.write(out, {"trials.csv": _csv(_trials(done)), "best.toml": _best(done, settings)})

    done = _run(study, plan, prepared, settings, console, write)
    write(done)
    output_folder.write(out, {"history.png": plots.history(done), "parallel.png": plots.parallel(done)})
    table = _trials(done).sort_values("f1", ascending=False, kind="stable").head(_SHOWN)
    nothing = objective.all_faulty_f1(prepared)
    return (
        f"{_text(table)}\nthe best {len(table)} of {len(done)} trials by F1 of Faulty on the validation part "
        f"({len(prepared.validation)} windows); calling all of them Faulty gives {nothing:.4f}\n"
        f"{out}: trials.csv, history.png, parallel.png, and best.toml for `sensor-training fit --config`"
    )


def initializers(
    study: optuna.Study,
    plan: Plan,
    prepared: Prepared,
    settings: FitSettings,
    out: Path,
    console: Console,
) -> str:
    """Compare the initialisers; write `initializers.csv` and a picture, and return the table as text."""

    def write(done: Sequence[Trial]) -> None:
        output_folder.write(out, {"initializers.csv": _csv(_results(results(done)))})

    found = results(_run(study, plan, prepared, settings, console, write))
    nothing = objective.all_faulty_f1(prepared)
    table = _results(found)
    files = {"initializers.csv": _csv(table), "initializers.png": plots.initializers(found, nothing)}
    output_folder.write(out, files)
    return (
        f"{_text(table)}\nF1 of Faulty on the validation part ({len(prepared.validation)} windows); calling "
        f"all of them Faulty gives {nothing:.4f}\n{out}: initializers.csv, initializers.png"
    )


def _run(
    study: optuna.Study,
    plan: Plan,
    prepared: Prepared,
    settings: FitSettings,
    console: Console,
    write: Callable[[Sequence[Trial]], None],
) -> list[Trial]:
    before = len(trials.trials(study))
    if before:
        console.print(f"goes on: {before} of {len(plan)} trials are done")
    with task_progress.counted("trial", len(plan), before, console) as progress:

        def measure(chosen: FitSettings) -> float:
            return objective.measure(prepared, chosen, [objective.Epochs(chosen.epochs, progress.part)])

        def finished(trial: Trial) -> None:
            done = trials.trials(study)
            write(done)
            best = trials.best(done)
            progress.done(f"F1 {trial.f1:.4f}  best {best.f1:.4f} (trial {best.number})")

        trials.run(study, plan, settings, measure, finished)
    return trials.trials(study)


def _trials(done: Sequence[Trial]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "trial": trial.number,
                "from": "notebook" if trial.number <= len(NOTEBOOK) else "search",
                **trial.parameters,
                "f1": trial.f1,
                "seconds": round(trial.seconds, 1),
            }
            for trial in done
        ]
    )


def _results(found: Sequence[Result]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "initializer": result.name,
                "formula": result.formula,
                "seeds": len(result.f1),
                "f1_mean": result.mean,
                "f1_spread": result.spread,
                "f1_lowest": min(result.f1),
                "f1_highest": max(result.f1),
            }
            for result in found
        ]
    )


def _best(done: Sequence[Trial], settings: FitSettings) -> bytes:
    """Return the settings of the best trial, whole, as a file that `fit --config` takes."""
    best = trials.best(done)
    chosen = trials.applied(settings, best.parameters)
    lines = [f"{name} = {json.dumps(value)}" for name, value in chosen.model_dump(mode="json").items()]
    head = f"# Trial {best.number} of {len(done)}: F1 {best.f1:.4f} on the validation part."
    return "\n".join([head, *lines, ""]).encode()


def _text(table: pd.DataFrame) -> str:
    return table.to_string(
        index=False,
        na_rep="",
        formatters={"learning_rate": "{:.2g}".format, "seconds": "{:.0f}".format}
        | dict.fromkeys(("dropout_1", "dropout_2"), "{:.2f}".format)
        | {name: "{:.4f}".format for name in table.columns if name.startswith("f1")},
    )


def _csv(table: pd.DataFrame) -> bytes:
    file = io.StringIO()
    table.to_csv(file, index=False)
    return file.getvalue().encode()
