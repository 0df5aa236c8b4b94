"""Runs the trials of a study and stores them in a file, so that an interrupted study can be continued.

Optuna proposes the parameters (tree-structured Parzen estimator: Bergstra et al. 2011, "Algorithms for
Hyper-Parameter Optimization") and stores the trials in SQLite, so all finished trials survive if the process
is killed. The seed of each proposal is derived from the number of finished trials, so an interrupted search
runs the same trials as an uninterrupted search.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from monitor.core.errors import InvalidInputError
from training.config.initializers import INITIALIZERS
from training.config.settings import FitSettings
from training.data.output_folder import exclusive_lock

__all__ = [
    "NOTEBOOK_INITIALIZERS",
    "NOTEBOOK_PARAMETERS",
    "Trial",
    "build_initializer_plan",
    "build_search_plan",
    "list_finished",
    "open_study",
    "run_trials",
    "select_best",
]

NOTEBOOK_PARAMETERS: tuple[dict[str, float], ...] = (
    {"units_1": 128, "units_2": 64, "units_3": 32, "dropout_1": 0.2, "dropout_2": 0.2},
    {"units_1": 128, "units_2": 64, "units_3": 32, "dropout_1": 0.3, "dropout_2": 0.2},
    {"units_1": 64, "units_2": 32, "units_3": 32, "dropout_1": 0.2, "dropout_2": 0.2},
)
"""The parameter combinations of the original notebook; the learning rate is taken from the settings."""

NOTEBOOK_INITIALIZERS = "glorot_uniform,glorot_uniform,he_normal,glorot_uniform"
"""The initialisers of the notebook's last network: Glorot for LSTM and output, He for the dense layer."""

_STUDY_FILE = "study.db"

Plan = Sequence[Mapping[str, Any] | None]
"""The parameters of each trial; None if Optuna proposes them."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial."""

    number: int
    """Number of the trial, from 1, in the order of completion."""
    parameters: dict[str, Any]
    """Parameter name -> value. The names are those in `NOTEBOOK_PARAMETERS` and `learning_rate`, or
    `kernel_initializer` and `seed`."""
    f1: float
    """F1 score of class Faulty on the validation set."""
    seconds: float
    """Duration of the training in seconds."""


def build_search_plan(settings: FitSettings, count: int) -> Plan:
    """Return a plan of `count` trials: the notebook's combinations, then what Optuna proposes."""
    notebook_trials = [
        {**parameters, "learning_rate": settings.learning_rate} for parameters in NOTEBOOK_PARAMETERS
    ]
    return [*notebook_trials, *[None] * (count - len(notebook_trials))][:count]


def build_initializer_plan(settings: FitSettings, seeds: int, further: Sequence[str] = ()) -> Plan:
    """Return a plan of every initialiser with every seed.

    The plan is ordered by seed, so a plan with fewer seeds is the beginning of a plan with more seeds.

    Parameters
    ----------
    further : values of the setting `kernel_initializer` beside the eight and the notebook's.
    """
    return [
        {"kernel_initializer": text, "seed": (settings.seed + number) % 2**32}
        for number in range(seeds)
        for text in dict.fromkeys((*INITIALIZERS, NOTEBOOK_INITIALIZERS, *further))
    ]


@contextmanager
def open_study(folder: Path, name: str, user_attrs: Mapping[str, Any]) -> Iterator[optuna.Study]:
    """Open a study in a folder; create it if it does not exist.

    Parameters
    ----------
    folder : the folder that contains `study.db`.
    name : the study's name; several studies may share a folder.
    user_attrs : data and settings of all trials of the study, JSON-serialisable. If the stored values differ,
        the study is rejected.

    Raises
    ------
    InvalidInputError : the file is not a study, its data or settings differ, or another process has it open.
    """
    with exclusive_lock(folder):
        yield from _open_locked(folder, name, user_attrs)


def _open_locked(folder: Path, name: str, user_attrs: Mapping[str, Any]) -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / _STUDY_FILE
    if path.exists() and not path.read_bytes()[:16].startswith(b"SQLite format 3"):
        raise InvalidInputError(
            f"{path}: is no study; expected one that `sensor-training tune` wrote, or none"
        )
    # SQLite gets the path from `creator`, not from the URL, where a ? or % in the path would be interpreted.
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{_STUDY_FILE}", engine_kwargs={"creator": lambda: sqlite3.connect(path)}
    )
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        _check_user_attrs(path, study, user_attrs)
        # Trials that were running when an earlier process was killed.
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _check_user_attrs(path: Path, study: optuna.Study, user_attrs: Mapping[str, Any]) -> None:
    for name, expected in user_attrs.items():
        stored = study.user_attrs.get(name)
        if stored is None:
            study.set_user_attr(name, expected)
        elif stored != expected:
            raise InvalidInputError(
                f"{path}: holds trials with {name} {stored}, expected {expected}, or another --out"
            )


def run_trials(
    study: optuna.Study,
    plan: Plan,
    settings: FitSettings,
    compute_f1: Callable[[FitSettings], float],
    on_finished: Callable[[Trial], None],
) -> None:
    """Run the trials of the plan that are not finished.

    Parameters
    ----------
    settings : the settings that all trials share.
    compute_f1 : trains with the given settings and returns the validation F1 score.
    on_finished : called with each trial after it has been stored in the study.
    """
    space = _build_search_space(settings, plan)
    for number in range(len(list_finished(study)), len(plan)):
        parameters = plan[number]
        study.sampler = optuna.samplers.TPESampler(seed=(settings.seed + number) % 2**32)
        if parameters is not None and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial(dict(parameters))
        trial = study.ask(space)
        study.tell(trial, compute_f1(apply_parameters(settings, trial.params)))
        on_finished(list_finished(study)[-1])


def list_finished(study: optuna.Study) -> list[Trial]:
    """Return the finished trials in the order of completion."""
    frozen_trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [
        Trial(number, trial.params, float(trial.values[0]), trial.duration.total_seconds())
        for number, trial in enumerate(frozen_trials, start=1)
        if trial.values and trial.duration
    ]


def select_best(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the highest F1 score; the earliest if several have the same score."""
    return max(trials, key=lambda trial: trial.f1)


def apply_parameters(settings: FitSettings, parameters: Mapping[str, Any]) -> FitSettings:
    """Return the settings, updated with a trial's parameters."""
    changes: dict[str, Any] = {
        name: value for name, value in parameters.items() if name in FitSettings.model_fields
    }
    if "units_1" in parameters:
        changes["units"] = tuple(parameters[f"units_{layer}"] for layer in (1, 2, 3))
        # Rounded, because Optuna's steps have rounding errors, such as 0.15000000000000002.
        changes["dropout"] = tuple(round(parameters[f"dropout_{layer}"], 2) for layer in (1, 2))
    return FitSettings(**{**settings.model_dump(), **changes})


def _build_search_space(settings: FitSettings, plan: Plan) -> dict[str, BaseDistribution]:
    if plan[0] is not None and "seed" in plan[0]:
        return {
            "kernel_initializer": CategoricalDistribution(
                list(dict.fromkeys(parameters["kernel_initializer"] for parameters in plan if parameters))
            ),
            "seed": IntDistribution(0, 2**32 - 1),
        }
    rate = settings.learning_rate
    return {
        "units_1": IntDistribution(16, 256, step=16),
        "units_2": IntDistribution(16, 128, step=16),
        "units_3": IntDistribution(8, 64, step=8),
        "dropout_1": FloatDistribution(0, 0.5, step=0.05),
        "dropout_2": FloatDistribution(0, 0.5, step=0.05),
        "learning_rate": FloatDistribution(min(1e-4, rate), max(1e-2, rate), log=True),
    }
