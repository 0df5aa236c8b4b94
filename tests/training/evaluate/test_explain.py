import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from monitor import bundle
from tests.support.toy_bundle import NAMES, STEPS
from tests.support.training_features import FEATURE_NAMES
from training.cli.main import main
from training.data import recordings
from training.evaluate.permutation_importance import Importance, compute_importance

READINGS = 400


def _recording(path: Path) -> Path:
    """Write readings whose two temperatures are equal; in every 20th, the second is 10 degC higher."""
    temperature = 20 + 15 * np.sin(np.arange(READINGS) / 20)
    faulty = np.arange(READINGS) % 20 == 10
    frame = pd.DataFrame(
        {
            "ts": np.arange(READINGS) * 5.0,
            "group": "g",
            "temperature_1": temperature,
            "humidity_1": 50 + temperature,
            "temperature_2": temperature + 10 * faulty,
            "humidity_2": 50 - temperature,
            "label": np.where(faulty, -1, 1),
        }
    )
    recordings.write(frame, path)
    return path


def _windows() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return windows with a random temperature at each step; in Faulty ones, the sensors differ at step 1."""
    rng = np.random.default_rng(0)
    windows = rng.uniform(0, 40, size=(READINGS, STEPS, 4))  # (window, step, feature)
    faulty = np.arange(READINGS) % 4 == 0
    windows[:, :, 2] = windows[:, :, 0]
    windows[faulty, 1, 2] += 10
    return windows, faulty


def _importance(folder: Path, **changes: int) -> Importance:
    loaded_bundle = bundle.load(folder)
    windows, faulty = _windows()
    return compute_importance(
        loaded_bundle.scaler, loaded_bundle.classifier, 0.5, windows, faulty, **{"repeats": 3, **changes}
    )


def test_only_what_the_model_uses_is_important(toy_bundle: Path) -> None:
    """The toy model uses the two temperatures of each step, and no humidity."""
    result = _importance(toy_bundle)
    assert result.f1 == 1
    assert result.mean.shape == result.spread.shape == (STEPS, 4)
    assert (result.mean[:, [0, 2]] > 0.3).all()
    assert (result.mean[:, [1, 3]] == 0).all()
    assert (result.feature_mean[[0, 2]] > 0.3).all()
    assert (result.feature_mean[[1, 3]] == 0).all()


def test_a_whole_step_is_shuffled_in_one_piece(toy_bundle: Path) -> None:
    """Shuffling a whole step keeps its temperatures equal, so only the step with the faults matters."""
    result = _importance(toy_bundle)
    assert result.step_mean[1] > 0.3
    assert (result.step_mean[[0, 2]] == 0).all()


def test_the_seed_decides(toy_bundle: Path) -> None:
    """The same seed gives the same numbers, another gives others."""
    first, again, other = (_importance(toy_bundle, seed=seed) for seed in (1, 1, 2))
    for name, value in asdict(first).items():
        np.testing.assert_array_equal(value, getattr(again, name))
    assert not np.array_equal(first.mean, other.mean)


def test_the_spread_is_over_the_repeats(toy_bundle: Path) -> None:
    """The standard deviation is 0 for one shuffle, and above 0 for several, except for unused features."""
    assert (_importance(toy_bundle, repeats=1).spread == 0).all()
    several = _importance(toy_bundle, repeats=4)
    assert (several.spread[:, [0, 2]] > 0).all()
    assert (several.spread[:, [1, 3]] == 0).all()


def test_a_part_of_the_windows_can_be_enough(toy_bundle: Path) -> None:
    """With `max_windows`, that many windows are judged, drawn at random from all."""
    result = _importance(toy_bundle, max_windows=100)
    assert result.windows == 100
    assert 10 < result.faulty < 40


def test_the_windows_stay_as_they_were(toy_bundle: Path) -> None:
    """Shuffling does not change the caller's windows."""
    loaded_bundle = bundle.load(toy_bundle)
    windows, faulty = _windows()
    before = windows.copy()
    compute_importance(loaded_bundle.scaler, loaded_bundle.classifier, 0.5, windows, faulty, repeats=1)
    np.testing.assert_array_equal(windows, before)


def test_explain_writes_what_it_says(
    toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command needs model.onnx only, and names steps and features in JSON, picture and table."""
    assert not (toy_bundle / "model.keras").exists()
    recording, out = _recording(tmp_path / "r.csv"), tmp_path / "out"
    arguments = ["--bundle", str(toy_bundle), "--recording", str(recording), "--out", str(out)]
    main(["explain", *arguments, "--repeats", "2", "--seed", "3"])
    numbers = json.loads((out / "importance.json").read_text())
    assert (numbers["features"], numbers["steps"]) == (list(NAMES), ["t-2", "t-1", "t"])
    assert (numbers["repeats"], numbers["seed"], numbers["windows"]) == (2, 3, READINGS - 2)
    assert np.shape(numbers["mean"]) == np.shape(numbers["spread"]) == (3, 4)
    assert (len(numbers["feature_mean"]), len(numbers["step_mean"])) == (4, 3)
    assert (out / "importance.png").read_bytes().startswith(b"\x89PNG")
    output = capsys.readouterr().out
    assert "part 19/19" in output
    assert all(name in output for name in [*NAMES, "t-2", "whole step", "whole feature"])


@pytest.mark.parametrize(
    ("change_frame", "message"),
    [
        (lambda frame: frame.assign(label=1), "no window is Faulty"),
        (
            lambda frame: frame.assign(temperature_2=frame["temperature_1"]),
            "the model finds none of the Faulty",
        ),
        (lambda frame: frame.drop(columns="label"), "has no column label"),
    ],
)
def test_importance_without_a_found_fault_is_refused(
    toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change_frame: object, message: str
) -> None:
    """Where the model finds no fault, `explain` ends with exit code 2 and one line that names the file."""
    path = _recording(tmp_path / "r.csv")
    recordings.write(change_frame(recordings.read(path, FEATURE_NAMES)), path)  # type: ignore[operator]
    with pytest.raises(SystemExit) as exit_info:
        main(
            ["explain", "--bundle", str(toy_bundle), "--recording", str(path), "--out", str(tmp_path / "out")]
        )
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert message in line
