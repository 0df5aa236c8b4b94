import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.core.errors import InvalidInputError
from tests.support import requires_tensorflow  # noqa: F401 - skips this module without it
from tests.support.training_features import FEATURE_NAMES
from training.cli.main import main
from training.config import loading
from training.config.settings import FitSettings
from training.data import recordings
from training.data.prepare import PreparedData, prepare
from training.tune import objective, plots, trials
from training.tune.trials import Trial

SETTINGS = FitSettings(units=(8, 8, 8), seed=7)
USER_ATTRS = {"data": ["a"], "settings": SETTINGS.model_dump(mode="json")}


def _measure(settings: FitSettings) -> float:
    """Replace a training: more units and a learning rate near 0.003 give a higher F1."""
    return float(settings.units[0] / 300 - abs(np.log10(settings.learning_rate / 0.003)) / 10)


class _InterruptingMeasure:
    """Measures as `_measure`, but raises KeyboardInterrupt in the given trial."""

    def __init__(self, trial_number: int) -> None:
        self._remaining = trial_number

    def __call__(self, settings: FitSettings) -> float:
        self._remaining -= 1
        if not self._remaining:
            raise KeyboardInterrupt
        return _measure(settings)


def _search(folder: Path, count: int, measure: Callable[[FitSettings], float] = _measure) -> list[Trial]:
    with trials.open_study(folder, "search", USER_ATTRS) as study:
        trials.run_trials(study, trials.build_search_plan(SETTINGS, count), SETTINGS, measure, lambda _: None)
        return [replace(trial, seconds=0) for trial in trials.list_finished(study)]


def _tune(recording: Path, out: Path, *extra_arguments: str) -> None:
    main(["tune", "--recording", str(recording), "--out", str(out), *extra_arguments])


def _read_rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [
            {name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)
        ]


@pytest.fixture
def measured_data(monkeypatch: pytest.MonkeyPatch) -> list[PreparedData]:
    """Replace the training by `_measure`, and return the data that each trial gets."""
    measured: list[PreparedData] = []

    def measure(prepared: PreparedData, settings: FitSettings, _: object) -> float:
        measured.append(prepared)
        return _measure(settings)

    monkeypatch.setattr(objective, "validation_f1", measure)
    return measured


def test_the_notebooks_combinations_come_first(tmp_path: Path) -> None:
    """The notebook's three come first, with the settings' learning rate, then the others."""
    tried: list[FitSettings] = []
    _search(tmp_path, 5, lambda settings: tried.append(settings) or 0.5)  # type: ignore[func-returns-value]
    notebook = [((128, 64, 32), (0.2, 0.2)), ((128, 64, 32), (0.3, 0.2)), ((64, 32, 32), (0.2, 0.2))]
    assert [(trial_settings.units, trial_settings.dropout) for trial_settings in tried[:3]] == notebook
    assert {trial_settings.learning_rate for trial_settings in tried[:3]} == {SETTINGS.learning_rate}
    assert len(tried) == 5
    assert {trial_settings.seed for trial_settings in tried} == {SETTINGS.seed}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_exactly_n_trials_run(
    count: int,
    labelled_recording: Path,
    tmp_path: Path,
    measured_data: list[PreparedData],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`--trials N` runs N trials, the notebook's first, and says which these are."""
    _tune(labelled_recording, tmp_path, "--trials", str(count))
    assert len(measured_data) == count
    origins = [row["from"] for row in _read_rows(tmp_path / "trials.csv")]
    assert origins == ["notebook", "notebook", "notebook", "search"][:count]
    assert f"trials 1 to {min(count, 3)} are the notebook's combinations" in capsys.readouterr().out


def test_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    """Interrupted in two trials and continued, a search runs the same trials as without interruption."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    # Optuna's first ten trials are random; the later ones depend on the stored trials.
    uninterrupted = _search(tmp_path / "whole", 13)
    for trial_number in (2, 10):
        with pytest.raises(KeyboardInterrupt):
            _search(tmp_path / "parts", 13, _InterruptingMeasure(trial_number))
    assert _search(tmp_path / "parts", 13) == uninterrupted
    assert len(uninterrupted) == 13


def test_more_trials_go_on_and_done_ones_are_not_repeated(tmp_path: Path) -> None:
    """The same number of trials runs nothing again; a larger number runs the rest."""
    first = _search(tmp_path, 5)
    assert _search(tmp_path, 5, _InterruptingMeasure(1)) == first
    assert _search(tmp_path, 7)[:5] == first


def test_a_search_learns_from_its_trials(tmp_path: Path) -> None:
    """Late proposals are better than early ones."""
    scores = [trial.f1 for trial in _search(tmp_path, 25)]
    assert np.mean(scores[-8:]) > np.mean(scores[3:13])


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second search in the same folder is refused while the first one runs, but not afterwards."""
    with (
        trials.open_study(tmp_path, "search", USER_ATTRS),
        pytest.raises(InvalidInputError, match="another process is writing there; expected one at a time"),
        trials.open_study(tmp_path, "search", USER_ATTRS),
    ):
        pass
    with trials.open_study(tmp_path, "search", USER_ATTRS):
        pass


def test_a_folder_name_is_taken_as_it_is(tmp_path: Path) -> None:
    """The study is stored in the folder also where its name has special characters."""
    folder = tmp_path / "a?b %41#"
    folder.mkdir()
    _search(folder, 1)
    assert [path.name for path in folder.iterdir()] == ["study.db"]
    assert list(tmp_path.iterdir()) == [folder]


def test_the_best_goes_to_fit(
    labelled_recording: Path, tmp_path: Path, measured_data: list[PreparedData]
) -> None:
    """best.toml has all settings of the best trial, as `fit --config` reads them."""
    _tune(labelled_recording, tmp_path, "--trials", "7", "--epochs", "5")
    rows = _read_rows(tmp_path / "trials.csv")
    assert len(rows) == len(measured_data) == 7
    best = max(rows, key=lambda row: float(row["f1"]))
    settings = loading.load_settings(tmp_path / "best.toml")
    assert settings.units == tuple(int(best[f"units_{layer}"]) for layer in (1, 2, 3))
    assert settings.dropout == tuple(round(float(best[f"dropout_{layer}"]), 2) for layer in (1, 2))
    assert settings.learning_rate == float(best["learning_rate"])
    assert settings.epochs == 5
    for name in ("history.png", "parallel.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_ctrl_c_leaves_table_and_settings(
    labelled_recording: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An interrupted command ends with exit code 130 and leaves its table; the same command continues."""
    measure = _InterruptingMeasure(3)
    monkeypatch.setattr(objective, "validation_f1", lambda _, settings, __: measure(settings))
    with pytest.raises(SystemExit) as exit_info:
        _tune(labelled_recording, tmp_path, "--trials", "4")
    assert exit_info.value.code == 130
    before = _read_rows(tmp_path / "trials.csv")
    assert len(before) == 2
    assert loading.load_settings(tmp_path / "best.toml").units == (128, 64, 32)
    _tune(labelled_recording, tmp_path, "--trials", "4")
    assert _read_rows(tmp_path / "trials.csv")[:2] == before
    output = capsys.readouterr().out
    assert "goes on: 2 of 4 trials are done" in output
    assert "trial 4/4" in output
    assert "remaining 0 s" in output


def test_the_test_part_is_out_of_reach(
    labelled_recording: Path, tmp_path: Path, measured_data: list[PreparedData]
) -> None:
    """The data of the trials has no test window and no whole recording."""
    prepared = prepare([labelled_recording], None, SETTINGS)
    _tune(labelled_recording, tmp_path, "--trials", "1")
    for trial_data in measured_data:
        assert (len(trial_data.test), trial_data.frames) == (0, [])
        assert not set(trial_data.train.ts.ravel()) & set(prepared.test.ts.ravel())
        assert not set(trial_data.validation.ts.ravel()) & set(prepared.test.ts.ravel())


def test_another_test_part_changes_nothing(labelled_recording: Path, tmp_path: Path) -> None:
    """Other values and labels in the test set do not change a trial's F1."""
    frame = recordings.read(labelled_recording, FEATURE_NAMES)
    is_test = frame["ts"] >= prepare([labelled_recording], None, SETTINGS).test.ts.min()
    frame.loc[is_test, FEATURE_NAMES] += 100
    frame.loc[is_test, "label"] *= -1
    recordings.write(frame, tmp_path / "other.csv")
    settings = FitSettings(network="dense", epochs=4, units=(32, 16, 8), learning_rate=0.01)
    first, second = (
        objective.validation_f1(objective.prepare_for_search(prepare([path], None, settings)), settings)
        for path in (labelled_recording, tmp_path / "other.csv")
    )
    assert first == second > 0


def test_trials_of_other_data_do_not_mix(
    labelled_recording: Path,
    tmp_path: Path,
    measured_data: list[PreparedData],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """For other settings or readings, the command ends with exit code 2 and the study keeps its trials."""
    _tune(labelled_recording, tmp_path, "--trials", "1")
    trial_count = len(measured_data)
    other = tmp_path / "other.csv"
    recordings.write(recordings.read(labelled_recording, FEATURE_NAMES).iloc[:-1], other)
    for recording, more, attribute in (
        (labelled_recording, ["--epochs", "9"], "settings"),
        (other, [], "data"),
    ):
        with pytest.raises(SystemExit) as exit_info:
            _tune(recording, tmp_path, "--trials", "1", *more)
        assert exit_info.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"study.db: holds trials with {attribute}" in line
    assert len(measured_data) == trial_count


@pytest.mark.parametrize(
    ("extra_arguments", "message"),
    [
        (["--study", "initializers", "--trials", "3"], "--trials belongs to --study search"),
        (["--seeds", "3"], "--seeds belongs to --study initializers"),
        (["--initializer", "ones"], "--initializer belongs to --study initializers"),
        (["--study", "initializers", "--initializer", "ones,ones"], "must be one initializer for all layers"),
        (["--trials", "0"], "--trials: must be a whole number from 1"),
        (["--epochs", "none"], "--epochs"),
    ],
)
def test_wrong_usage_is_refused(
    labelled_recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    extra_arguments: list[str],
    message: str,
) -> None:
    """Wrong usage ends with exit code 2 and one line, before a study is created."""
    with pytest.raises(SystemExit) as exit_info:
        _tune(labelled_recording, tmp_path / "out", *extra_arguments)
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


def test_pictures_of_one_trial_can_be_drawn() -> None:
    """The pictures of a search with a single trial can be drawn."""
    trial = Trial(1, {**trials.NOTEBOOK_PARAMETERS[0], "learning_rate": 1e-3}, 0.5, 1.0)
    assert plots.draw_history([trial]).startswith(b"\x89PNG")
    assert plots.draw_parallel_coordinates([trial]).startswith(b"\x89PNG")
