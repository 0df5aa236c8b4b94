"""The two studies of `tune`: run the trials, and write tables, pictures and settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from rich.console import Console

from training.config.settings import FitSettings
from training.console import task_progress
from training.data import output_folder
from training.data.prepare import PreparedData
from training.network.epoch_progress import EpochShareCallback
from training.tune import objective, plots, tables, trials
from training.tune.initializers import collect_results
from training.tune.trials import Plan, Trial

__all__ = ["StudyRun", "compare_initializers", "run_search"]

_MAX_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyRun:
    """A study, and everything that its trials need."""

    study: optuna.Study
    plan: Plan
    """The parameters of each trial."""
    prepared: PreparedData
    """The data, without its test part."""
    settings: FitSettings
    """The settings that all trials share; a trial's parameters replace some of them."""
    out: Path
    """Folder for tables, pictures and settings; it exists."""
    console: Console
    """Where progress is shown."""

    def run_trials(self, on_finished: Callable[[Sequence[Trial]], None]) -> list[Trial]:
        """Run the trials of the plan that are still to be run; return all finished trials.

        Parameters
        ----------
        on_finished : called after each trial with all finished trials so far.
        """
        finished_count = len(trials.finished_trials(self.study))
        if finished_count:
            self.console.print(f"goes on: {finished_count} of {len(self.plan)} trials are done")
        with task_progress.show_progress("trial", len(self.plan), finished_count, self.console) as progress:

            def measure(trial_settings: FitSettings) -> float:
                callback = EpochShareCallback(trial_settings.epochs, progress.update)
                return objective.measure(self.prepared, trial_settings, [callback])

            def report(trial: Trial) -> None:
                finished_trials = trials.finished_trials(self.study)
                on_finished(finished_trials)
                best = trials.best_trial(finished_trials)
                progress.finish_task(f"F1 {trial.f1:.4f}  best {best.f1:.4f} (trial {best.number})")

            trials.run(self.study, self.plan, self.settings, measure, report)
        return trials.finished_trials(self.study)

    def write(self, files: dict[str, bytes]) -> None:
        """Write files into the output folder."""
        output_folder.write(self.out, files)

    def describe_validation(self) -> str:
        """Return the size of the validation part, and the F1 there of calling every window Faulty."""
        all_faulty_f1 = objective.all_faulty_f1(self.prepared)
        return (
            f"({len(self.prepared.validation)} windows); calling all of them Faulty gives {all_faulty_f1:.4f}"
        )


def run_search(run: StudyRun) -> str:
    """Search for better settings; write `trials.csv`, `best.toml` and two pictures, return the best trials.

    Table and settings are written after every trial, so an interrupted search leaves them too.
    """

    def write(finished_trials: Sequence[Trial]) -> None:
        run.write(
            {
                "trials.csv": tables.to_csv(tables.trials_table(finished_trials)),
                "best.toml": tables.best_settings_toml(finished_trials, run.settings),
            }
        )

    finished_trials = run.run_trials(write)
    write(finished_trials)
    run.write(
        {
            "history.png": plots.history(finished_trials),
            "parallel.png": plots.parallel_coordinates(finished_trials),
        }
    )
    table = tables.trials_table(finished_trials)
    table = table.sort_values("f1", ascending=False, kind="stable").head(_MAX_ROWS)
    return (
        f"{tables.format_table(table)}\n"
        f"the best {len(table)} of {len(finished_trials)} trials by F1 of Faulty on the validation part "
        f"{run.describe_validation()}\n"
        f"{run.out}: trials.csv, history.png, parallel.png, and best.toml for `sensor-training fit --config`"
    )


def compare_initializers(run: StudyRun) -> str:
    """Compare the initialisers; write `initializers.csv` and a picture, return the table."""

    def write(finished_trials: Sequence[Trial]) -> None:
        table = tables.initializers_table(collect_results(finished_trials))
        run.write({"initializers.csv": tables.to_csv(table)})

    results = collect_results(run.run_trials(write))
    table = tables.initializers_table(results)
    run.write(
        {
            "initializers.csv": tables.to_csv(table),
            "initializers.png": plots.initializers(results, objective.all_faulty_f1(run.prepared)),
        }
    )
    return (
        f"{tables.format_table(table)}\nF1 of Faulty on the validation part {run.describe_validation()}\n"
        f"{run.out}: initializers.csv, initializers.png"
    )
