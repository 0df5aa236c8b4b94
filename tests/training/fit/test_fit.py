import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitor import bundle
from monitor.cli.main import main as monitor_main
from monitor.detect.baseline import BaselineSpec
from tests.conftest import ROOT
from tests.support import requires_tensorflow  # noqa: F401 - skips this module without it
from tests.support.training_features import FEATURE_NAMES
from training.cli.main import main
from training.config.settings import FitSettings
from training.data import recordings
from training.data.prepare import PreparedData, prepare
from training.network.models import compute_scores
from training.network.train import choose_class_weights, train

SMALL_NETWORK_FLAGS = ("--units", "8,6,4", "--epochs", "1")


def _fit(recording: Path, folder: Path, *extra_arguments: str) -> None:
    main(["fit", "--recording", str(recording), "--bundle", str(folder), *extra_arguments])


@pytest.fixture(scope="module")
def prepared(labelled_recording: Path) -> PreparedData:
    """Return the recording of the small plant, prepared with default settings."""
    return prepare([labelled_recording], None, FitSettings())


def test_the_monitor_accepts_the_bundle(
    bundle_folder: Path, plant: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sensor-monitor check` accepts what `fit` writes, and the manifest describes the training."""
    config = tmp_path / "monitor.toml"
    config.write_text(f"bundle = {json.dumps(str(bundle_folder))}\n[http]\nport = 0\n")
    assert monitor_main(["check", "--config", str(config)]) == 0
    manifest = bundle.load(bundle_folder).manifest
    assert manifest.id in capsys.readouterr().out
    assert manifest.feature_names == tuple(FEATURE_NAMES)
    assert (manifest.steps, manifest.sample_period, manifest.threshold) == (3, 5.0, 0.5)
    assert manifest.data["groups"] == ["line1/station1", "line1/station2"]
    assert manifest.data["readings"] == len(plant)
    assert manifest.data["settings"]["epochs"] == 6
    low, high = manifest.ranges["temperature_1"]
    assert -4 < low < 0 < high < 4  # in units of the group's baseline
    assert manifest.baseline == BaselineSpec(floors=(0.08, 0.5, 0.08, 0.5))
    assert manifest.distribution is not None
    spread = manifest.distribution["temperature_1"]
    assert (spread.low, spread.high) == (low, high)


def test_the_trained_network_finds_faults(bundle_folder: Path) -> None:
    """After a few epochs on an hour of readings, the network finds most faults of the test set."""
    assert bundle.load(bundle_folder).manifest.quality["f1"] > 0.8


def test_the_scaler_is_saved_as_numbers(bundle_folder: Path, prepared: PreparedData) -> None:
    """The bundle holds mean and standard deviation as numbers, and no pickle file."""
    scaler = bundle.load(bundle_folder).scaler
    np.testing.assert_array_equal(scaler.mean, prepared.scaler.mean)
    np.testing.assert_array_equal(scaler.scale, prepared.scaler.scale)
    suffixes = {path.suffix for path in bundle_folder.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".onnx", ".keras", ".html", ".png", ""}


def test_the_report_is_in_the_bundle(bundle_folder: Path) -> None:
    """The report and its pictures are in the bundle, with checksums."""
    sums = (bundle_folder / "SHA256SUMS").read_text()
    assert "  report/report.html\n" in sums
    assert "  report/loss.png\n" in sums
    (bundle_folder / "report" / "report.html").stat()


def test_the_same_training_gives_the_same_id(labelled_recording: Path, tmp_path: Path) -> None:
    """Two runs with the same seed give the same bundle id."""
    ids = []
    for name in ("first", "again"):
        _fit(labelled_recording, tmp_path / name, *SMALL_NETWORK_FLAGS)
        ids.append(bundle.load(tmp_path / name).manifest.id)
    assert ids[0] == ids[1]


def test_labelled_windows_make_a_bundle(prepared: PreparedData, tmp_path: Path) -> None:
    """A file of 12 columns and Label (1: Normal) suffices; without a test set, the quality is empty."""
    data = prepared.train
    table = pd.DataFrame(data.windows.reshape(len(data), 12)).assign(Label=np.where(data.faulty, -1, 1))
    table.to_csv(tmp_path / "windows.csv", index=False)
    arguments = ["--windows", str(tmp_path / "windows.csv"), "--bundle", str(tmp_path / "bundle")]
    main(["fit", *arguments, *SMALL_NETWORK_FLAGS, "--network", "dense", "--test-share", "0"])
    manifest = bundle.load(tmp_path / "bundle").manifest
    assert manifest.data["windows_file"] == "windows.csv"
    assert manifest.baseline is None
    assert manifest.data["train"]["faulty"] < manifest.data["train"]["windows"] / 2
    assert manifest.quality == {}
    assert manifest.data["test"]["windows"] == 0


def test_training_stops_and_keeps_the_best(prepared: PreparedData) -> None:
    """Training stops `patience` epochs after the lowest validation loss and keeps that epoch's weights."""
    settings = FitSettings(network="dense", units=(16, 8, 4), learning_rate=0.05, patience=2, batch_size=256)
    trained = train(prepared, settings)
    losses = trained.history["val_loss"]
    assert len(losses) == len(trained.history["loss"]) < settings.epochs
    assert int(np.argmin(losses)) == len(losses) - 1 - settings.patience
    truth = prepared.validation.faulty
    scores = compute_scores(trained.network, prepared.scaler.transform(prepared.validation.windows))
    entropy = -np.log(np.clip(np.where(truth, scores, 1 - scores), 1e-7, 1)).mean()
    assert entropy == pytest.approx(min(losses), rel=1e-4)


def test_class_weights() -> None:
    """`balanced` weights both classes equally, `none` all windows equally; numbers are used as given."""
    faulty = np.array([True] * 10 + [False] * 30)
    balanced = choose_class_weights(faulty, FitSettings())
    assert balanced[0] * 30 == pytest.approx(balanced[1] * 10)
    assert choose_class_weights(faulty, FitSettings(class_weight="none")) == {0: 1, 1: 1}
    assert choose_class_weights(faulty, FitSettings(class_weight=(1.0, 10.0))) == {0: 1, 1: 10}


def test_class_weights_are_shown(
    labelled_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Balanced weights are numbers in the output of `fit`, in the manifest and in the report."""
    _fit(labelled_recording, tmp_path / "bundle", *SMALL_NETWORK_FLAGS, "--network", "dense")
    data = bundle.load(tmp_path / "bundle").manifest.data
    windows, faulty = data["train"]["windows"], data["train"]["faulty"]
    assert data["class_weights"]["Normal"] == pytest.approx(windows / 2 / (windows - faulty))
    assert data["class_weights"]["Faulty"] == pytest.approx(windows / 2 / faulty)
    numbers = ", ".join(f"{name} {weight:.4f}" for name, weight in data["class_weights"].items())
    assert f"class weights: {numbers} (class_weight balanced)" in capsys.readouterr().out
    assert numbers in (tmp_path / "bundle" / "report" / "report.html").read_text()


def test_class_weights_are_used(prepared: PreparedData) -> None:
    """A class with a weight near 0 is hardly ever predicted."""
    shares = []
    for weight in ((1.0, 1e-4), (1e-4, 1.0)):
        settings = FitSettings(network="dense", epochs=3, learning_rate=0.01, class_weight=weight)
        trained = train(prepared, settings)
        called = compute_scores(trained.network, prepared.scaler.transform(prepared.test.windows)) > 0.5
        shares.append(called.mean())
    assert shares[0] < 0.1
    assert shares[1] > 0.9


def test_data_that_cannot_train_is_exit_2(
    labelled_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data that cannot train a model ends with exit code 2, one line that names the file, and no bundle."""
    path = tmp_path / "healthy.csv"
    recordings.write(recordings.read(labelled_recording, FEATURE_NAMES).assign(label=1), path)
    with pytest.raises(SystemExit) as exit_info:
        _fit(path, tmp_path / "bundle")
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path}: no reading has the label Faulty (-1)" in line
    assert "`sensor-training inject`" in line
    assert "`sensor-training fit --healthy`" in line
    assert not (tmp_path / "bundle").exists()


def test_a_folder_without_a_bundle_is_not_replaced(
    labelled_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where `--bundle` names a folder with other files, nothing is deleted."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit) as exit_info:
        _fit(labelled_recording, tmp_path)
    assert exit_info.value.code == 2
    assert "is no bundle" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


def test_an_interrupted_training_leaves_nothing(labelled_recording: Path, tmp_path: Path) -> None:
    """Ctrl-C ends with exit code 130, prints nothing on stderr and leaves no partial bundle."""
    arguments = [
        "fit",
        "--recording",
        labelled_recording,
        "--bundle",
        tmp_path / "bundle",
        "--epochs",
        "9999",
    ]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "training", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch 1/9999"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == ""
    assert list(tmp_path.iterdir()) == []


def test_bundle_of_a_network_of_sensors(
    labelled_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network that judges sensor by sensor makes a bundle that every command takes."""
    folder = tmp_path / "sensor"
    _fit(labelled_recording, folder, "--network", "sensor-lstm", "--epochs", "6")
    loaded = bundle.load(folder)
    assert loaded.manifest.judges == "sensor"
    assert loaded.manifest.data["settings"]["units"] == [16, 8, 8]
    assert loaded.manifest.quality["f1"] > 0.8
    files = {name: str(tmp_path / name) for name in ("explain", "inspect")}
    recording = ["--recording", str(labelled_recording)]
    main(["explain", "--bundle", str(folder), *recording, "--out", files["explain"], "--repeats", "1"])
    importance = json.loads((tmp_path / "explain" / "importance.json").read_text())
    # The sensors of a pair deviate equally, so they are equally important.
    assert importance["feature_mean"][0] == importance["feature_mean"][2] > 0
    main(["inspect", "--bundle", str(folder), "--out", files["inspect"]])
    assert (tmp_path / "inspect" / "weights.csv").exists()
    main(["evaluate", "--bundle", str(folder), *recording])
    main(["evaluate", "--bundle", str(folder), "--window=20,50,20,50,20,50,20,50,20,50,26,50"])
    assert "Faulty" in capsys.readouterr().out
