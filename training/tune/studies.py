"""The two studies of `sensor-training tune`: they run trials, and write tables, plots and settings."""

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
from training.tune.trials import NOTEBOOK_PARAMETERS, Plan, Trial

__all__ = ["StudyRun", "compare_initializers", "run_search"]

# Number of trials in the table that a search prints.
_MAX_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyRun:
    """A study with its plan, data, settings and output folder."""

    study: optuna.Study
    plan: Plan
    """The parameters of each trial; see `training.tune.trials.Plan`."""
    prepared: PreparedData
    """The data without the test set."""
    settings: FitSettings
    """The settings that all trials share; a trial's parameters replace some of them."""
    out: Path
    """An existing folder for tables, plots and settings."""
    console: Console
    """The console that shows the progress."""

    def run_trials(self, on_finished: Callable[[Sequence[Trial]], None]) -> list[Trial]:
        """Run the unfinished trials of the plan; return all finished trials.

        Parameters
        ----------
        on_finished : called after each trial with the list of all finished trials.
        """
        finished_count = len(trials.list_finished(self.study))
        if finished_count:
            self.console.print(f"goes on: {finished_count} of {len(self.plan)} trials are done")
        with task_progress.show_progress("trial", len(self.plan), finished_count, self.console) as progress:

            def compute_f1(trial_settings: FitSettings) -> float:
                callback = EpochShareCallback(trial_settings.epochs, progress.update)
                return objective.validation_f1(self.prepared, trial_settings, [callback])

            def report(trial: Trial) -> None:
                finished_trials = trials.list_finished(self.study)
                on_finished(finished_trials)
                best = trials.select_best(finished_trials)
                progress.finish_task(f"F1 {trial.f1:.4f}  best {best.f1:.4f} (trial {best.number})")

            trials.run_trials(self.study, self.plan, self.settings, compute_f1, report)
        return trials.list_finished(self.study)

    def write(self, files: dict[str, bytes]) -> None:
        """Write files into the output folder."""
        output_folder.write(self.out, files)

    def describe_validation(self) -> str:
        """Return the size of the validation set, and its F1 score if all windows are predicted Faulty."""
        all_faulty_f1 = objective.all_faulty_f1(self.prepared)
        return (
            f"({len(self.prepared.validation)} windows); calling all of them Faulty gives {all_faulty_f1:.4f}"
        )


def run_search(run: StudyRun) -> str:
    """Search for better settings; write `trials.csv`, `best.toml` and two plots; return a table of the best.

    `trials.csv` and `best.toml` are written after every trial, so they exist after an interrupted search too.
    """

    def write(finished_trials: Sequence[Trial]) -> None:
        run.write(
            {
                "trials.csv": tables.to_csv(tables.build_trials_table(finished_trials)),
                "best.toml": tables.format_best_settings(finished_trials, run.settings),
            }
        )

    finished_trials = run.run_trials(write)
    write(finished_trials)
    run.write(
        {
            "history.png": plots.draw_history(finished_trials),
            "parallel.png": plots.draw_parallel_coordinates(finished_trials),
        }
    )
    table = tables.build_trials_table(finished_trials)
    table = table.sort_values("f1", ascending=False, kind="stable").head(_MAX_ROWS)
    notebook_count = min(len(NOTEBOOK_PARAMETERS), len(finished_trials))
    return (
        f"{tables.format_table(table)}\n"
        f"trials 1 to {notebook_count} are the notebook's combinations, with the learning rate of the "
        "settings; the others were proposed by the search\n"
        f"the best {len(table)} of {len(finished_trials)} trials by F1 of Faulty on the validation part "
        f"{run.describe_validation()}\n"
        f"{run.out}: trials.csv, history.png, parallel.png, and best.toml for `sensor-training fit --config`"
    )


def compare_initializers(run: StudyRun) -> str:
    """Compare the initialisers; write `initializers.csv` and a plot; return the table as text."""

    def write(finished_trials: Sequence[Trial]) -> None:
        table = tables.build_initializers_table(collect_results(finished_trials))
        run.write({"initializers.csv": tables.to_csv(table)})

    results = collect_results(run.run_trials(write))
    table = tables.build_initializers_table(results)
    run.write(
        {
            "initializers.csv": tables.to_csv(table),
            "initializers.png": plots.draw_initializers(results, objective.all_faulty_f1(run.prepared)),
        }
    )
    return (
        f"{tables.format_table(table)}\nF1 of Faulty on the validation part {run.describe_validation()}\n"
        f"{run.out}: initializers.csv, initializers.png"
    )
