import csv
from pathlib import Path

import numpy as np
import pytest

from tests.support import requires_tensorflow  # noqa: F401 - skips this module without it
from training.cli.main import main
from training.config.initializers import INITIALIZERS
from training.config.settings import FitSettings
from training.data.prepare import PreparedData
from training.network import models
from training.network.backend import keras
from training.network.capture_stderr import capture_stderr
from training.tune import objective, plots
from training.tune.initializers import FORMULAS, collect_results
from training.tune.trials import Trial


def _run_study(recording: Path, out: Path, *extra_arguments: str) -> None:
    main(
        [
            "tune",
            "--study",
            "initializers",
            "--recording",
            str(recording),
            "--out",
            str(out),
            *extra_arguments,
        ]
    )


def test_all_initializers_are_measured(
    labelled_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All eight, the notebook's mix and those asked for have their row; more seeds continue the study."""
    tried: list[tuple[str | tuple[str, ...], int]] = []
    mix = ("glorot_uniform", "glorot_uniform", "he_normal", "glorot_uniform")
    further = ("--initializer", "random_normal(0.0, 0.1)")

    def measure(_: PreparedData, settings: FitSettings, __: object) -> float:
        tried.append((settings.kernel_initializer, settings.seed))
        return 0.5 + settings.seed / 10

    monkeypatch.setattr(objective, "validation_f1", measure)
    _run_study(labelled_recording, tmp_path, "--seeds", "2", "--seed", "1", *further)
    every = (*INITIALIZERS, mix, "random_normal(0, 0.1)")
    assert set(tried) == {(initializer, seed) for initializer in every for seed in (1, 2)}
    with (tmp_path / "initializers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["initializer"] for row in rows] == [*INITIALIZERS, ",".join(mix), "random_normal(0, 0.1)"]
    assert [row["formula"] for row in rows][-2:] == ["of the three hidden layers and the output", "N(0, 0.1)"]
    assert all(float(row["f1_mean"]) == pytest.approx(0.65) for row in rows)
    assert all(float(row["f1_spread"]) == pytest.approx(np.std([0.6, 0.7], ddof=1)) for row in rows)
    _run_study(labelled_recording, tmp_path, "--seeds", "3", "--seed", "1", *further)
    assert len(tried) == 30
    assert (tmp_path / "initializers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", INITIALIZERS)
def test_formulas_are_what_keras_draws(name: str) -> None:
    """The weights that Keras draws have the standard deviation of the formula in the table."""
    inputs, outputs = 300, 200
    with capture_stderr():
        drawn = keras.initializers.get(
            {"class_name": name, "config": {} if name in {"zeros", "ones"} else {"seed": 1}}
        )((inputs, outputs))
    weights = np.asarray(drawn)
    assert weights.std() == pytest.approx(FORMULAS[name].std(inputs, outputs), rel=0.02)
    assert weights.mean() == pytest.approx(float(name == "ones"), abs=1e-3)
    if name.endswith("uniform"):
        assert np.abs(weights).max() == pytest.approx(FORMULAS[name].std(inputs, outputs) * 3**0.5, rel=0.01)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_network_gives_one_score_a_window(name: str) -> None:
    """The second LSTM returns its last output, not a sequence, so there is one score per window."""
    with capture_stderr():
        built = models.build(FitSettings(kernel_initializer=name, units=(4, 4, 4)), 3, 4, updates_per_epoch=1)
    assert built.output_shape == (None, 1)


def test_a_single_seed_has_no_spread() -> None:
    """A single seed has no standard deviation, and the picture can still be drawn."""
    single_result = collect_results([Trial(1, {"kernel_initializer": "zeros", "seed": 0}, 0.0, 1.0)])
    assert [result.name for result in single_result] == ["zeros"]
    assert single_result[0].std is None
    assert plots.draw_initializers(single_result, 0.4).startswith(b"\x89PNG")
