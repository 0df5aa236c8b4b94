import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from training.cli.main import main
from training.network.tensorflow_check import TENSORFLOW_PYTHONS

WITHOUT_TENSORFLOW = (
    "import sys; sys.modules['tensorflow'] = None\nfrom training.cli.main import main; main(sys.argv[1:])"
)
"""`sensor-training` where TensorFlow isn't installed: Python refuses to import it."""


def _run_without_tensorflow(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "--recording", "RECORDING", "--bundle", "new"],
        ["fit", "--healthy", "HEALTHY", "--bundle", "new"],
        ["tune", "--recording", "RECORDING", "--out", "new"],
        ["evaluate", "--recording", "RECORDING", "--against", "--bundle", "DEFAULT"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_missing_tensorflow_is_one_line_and_exit_2(
    arguments: list[str], labelled_recording: Path, tmp_path: Path
) -> None:
    """A command that trains says where TensorFlow is available, and leaves nothing behind."""
    healthy = tmp_path / "healthy.csv"
    main(["simulate", "--out", str(healthy), "--groups", "1", "--hours", "0.5"])
    files = {
        "RECORDING": str(labelled_recording),
        "HEALTHY": str(healthy),
        "DEFAULT": str(ROOT / "monitor" / "bundle" / "default"),
    }
    done = _run_without_tensorflow(tmp_path, *(files.get(word, word) for word in arguments))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("sensor-training: training needs TensorFlow, which isn't installed here")
    assert f"Python {TENSORFLOW_PYTHONS}, and this is Python {platform.python_version()}" in line
    assert list(tmp_path.iterdir()) == [healthy]


def test_evaluate_needs_no_tensorflow(labelled_recording: Path, tmp_path: Path) -> None:
    """A bundle is judged with ONNX Runtime alone."""
    bundle = ROOT / "monitor" / "bundle" / "default"
    arguments = ["evaluate", "--recording", str(labelled_recording), "--bundle", str(bundle)]
    done = _run_without_tensorflow(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "F1" in done.stdout
