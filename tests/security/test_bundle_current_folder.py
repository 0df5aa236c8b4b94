"""A current folder from elsewhere, with files whose names are those of modules."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitor.bundle import load
from monitor.core.python_process import python_command
from tests.support.toy_bundle import FEATURES, HEALTHY, NAMES, save_toy_bundle
from training.evaluate.bundle_comparison import ComparisonData, measure_bundle

PLANTED = ("monitor", "training", "numpy", "json", "sitecustomize", "usercustomize", "onnxruntime", "msgspec")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the file that each of the planted modules writes; the current folder has them all."""
    folder, mark = tmp_path / "folder", tmp_path / "planted-ran"
    for name in PLANTED:
        package = folder / name
        package.mkdir(parents=True)
        for file in (folder / f"{name}.py", package / "__init__.py", package / "__main__.py"):
            file.write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(folder)
    return mark


def test_comparison_of_fit_healthy(planted: Path, tmp_path: Path) -> None:
    """The backtests of `fit --healthy` are this package's, whatever lies in the current folder."""
    rows = 200
    save_toy_bundle(tmp_path / "bundle")
    frame = pd.DataFrame(
        {"ts": 5.0 * np.arange(rows), "group": "g", **dict(zip(NAMES, HEALTHY, strict=True))}
    )
    frame.to_csv(tmp_path / "recording.csv", index=False)
    data = ComparisonData(
        path=tmp_path / "recording.csv",
        features=FEATURES,
        sample_period=5.0,
        is_held_out=np.ones(rows, np.bool_),
        labels=pd.DataFrame({"group": ["g"] * rows, "label": 1}),
        is_original=np.arange(rows) < rows // 2,
    )
    metrics = measure_bundle(tmp_path / "bundle", "toy", data)
    assert metrics.judged_share > 0.9
    assert not planted.exists()


def test_trial_of_a_model(planted: Path, tmp_path: Path) -> None:
    """The process that tries a model imports nothing of the current folder."""
    save_toy_bundle(tmp_path / "bundle", extra_layers=3)  # a model that no test has tried yet
    load(tmp_path / "bundle")
    assert not planted.exists()


def test_command_of_a_module(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is this package's also where the path of this process has the current folder in it."""
    monkeypatch.syspath_prepend("")
    done = subprocess.run(python_command("monitor", "--version"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sensor-monitor ")
    assert not planted.exists()


def test_settings_of_plots(tmp_path: Path) -> None:
    """Plots don't depend on a settings file in the current folder."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nsavefig.facecolor: red\n")
    (tmp_path / "plot.py").write_text(
        "import hashlib\nfrom training.report.figures import panel, png\n"
        "print(hashlib.sha256(png(panel('title', (2.0, 2.0))[0])).hexdigest())\n"
    )
    command = [sys.executable, tmp_path / "plot.py"]
    found = {
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
        for folder in (tmp_path, tmp_path.parent)
    }
    assert len(found) == 1
