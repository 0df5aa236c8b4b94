import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitor import bundle
from training import dataset, recordings
from training.cli import main


def _fit(recording: Path, folder: Path, *more: str) -> None:
    main(["fit", "--recording", str(recording), "--bundle", str(folder), *more])


def test_the_bundle_is_one_the_monitor_takes(bundle_folder: Path, plant: pd.DataFrame) -> None:
    """What `fit` writes loads, and its manifest describes the training."""
    manifest = bundle.load(bundle_folder).manifest
    assert manifest.names == tuple(recordings.NAMES)
    assert (manifest.steps, manifest.sample_period, manifest.threshold) == (3, 5.0, 0.5)
    assert manifest.data["groups"] == ["line1/station1", "line1/station2"]
    assert manifest.data["readings"] == len(plant)
    low, high = manifest.ranges["temperature_1"]
    assert plant["temperature_1"].min() <= low < high <= plant["temperature_1"].max()


def test_the_model_has_learnt(bundle_folder: Path) -> None:
    """A few epochs on an hour of readings find most faults in the next minutes."""
    assert bundle.load(bundle_folder).manifest.quality["f1"] > 0.8


def test_the_scaler_knows_the_healthy_training_part_only(bundle_folder: Path, labelled: Path) -> None:
    """Neither the test part nor a fault moves the mean or the spread."""
    train, _ = dataset.split(dataset.build([recordings.read(labelled)], 15), 0.2)
    healthy = train.windows[~train.faulty].reshape(-1, 4)
    scaler = bundle.load(bundle_folder).scaler
    np.testing.assert_allclose(scaler.mean, healthy.mean(axis=0))
    np.testing.assert_allclose(scaler.scale, healthy.std(axis=0))


def test_the_same_training_gives_the_same_id(bundle_folder: Path, labelled: Path, tmp_path: Path) -> None:
    """Two runs with one seed give one bundle."""
    _fit(labelled, tmp_path / "again", "--epochs", "6")
    assert bundle.load(tmp_path / "again").manifest.id == bundle.load(bundle_folder).manifest.id


def test_all_may_be_training(labelled: Path, tmp_path: Path) -> None:
    """With a test share of 0 there is a bundle, and no measured quality in it."""
    _fit(labelled, tmp_path / "bundle", "--epochs", "1", "--test-share", "0")
    manifest = bundle.load(tmp_path / "bundle").manifest
    assert manifest.quality == {}
    assert manifest.data["test"]["windows"] == 0


def test_incomplete_readings_are_left_out(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reading with an empty cell is left out, and how many were is told."""
    frame = recordings.read(labelled)
    frame.loc[5:9, "humidity_2"] = np.nan
    path = tmp_path / "holes.csv"
    recordings.write(frame, path)
    _fit(path, tmp_path / "bundle", "--epochs", "1")
    assert "left out 5 readings" in capsys.readouterr().out
    assert bundle.load(tmp_path / "bundle").manifest.data["left_out"] == 5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda frame: frame.drop(columns="label"), "has no column label"),
        (lambda frame: frame.assign(label=1), "all windows to train on are Normal"),
        (lambda frame: frame.assign(label=-1), "all windows to train on are Faulty"),
        (lambda frame: frame.assign(humidity_1=50.0), "humidity_1 has one value"),
        (lambda frame: frame.head(200), "windows to train on, expected at least 300"),
        (lambda frame: frame.assign(humidity_1=np.nan), "0 windows to train on"),
        (lambda frame: frame.head(1), "0 windows to train on"),
        (lambda frame: frame.assign(ts=frame["ts"].rank() * 60 % 7), "windows to train on, expected"),
    ],
)
def test_data_that_cannot_train_is_refused(
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: object,
    told: str,
) -> None:
    """What can't train a model ends with exit 2, one line that names the file, and no bundle."""
    path = tmp_path / "changed.csv"
    recordings.write(change(recordings.read(labelled)), path)  # type: ignore[operator]
    with pytest.raises(SystemExit) as left:
        _fit(path, tmp_path / "bundle")
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert told in line
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_is_no_bundle_is_not_replaced(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip in `--bundle` deletes nothing."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit) as left:
        _fit(labelled, tmp_path)
    assert left.value.code == 2
    assert "is no bundle" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


def test_an_interrupted_training_leaves_nothing(labelled: Path, tmp_path: Path) -> None:
    """Ctrl-C ends with 130, says nothing on stderr and leaves no half-written bundle."""
    code = "from training.cli import main; main()"
    arguments = [
        "fit",
        "--recording",
        str(labelled),
        "--bundle",
        str(tmp_path / "bundle"),
        "--epochs",
        "9999",
    ]
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("epoch 1/9999")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == ""
    assert list(tmp_path.iterdir()) == []
