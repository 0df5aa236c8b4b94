"""The versions in constraints.txt can be installed with every Python that README names."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.conftest import ROOT, skip_or_fail
from tests.shipping.constraints import REQUIREMENT, pin_lines, supported_pythons
from tests.support.pip_resolver import DryRun, start_dry_run
from training.network.tensorflow_check import TENSORFLOW_PYTHONS

PYTHONS = supported_pythons()
THIS_PYTHON = "{}.{}".format(*sys.version_info)
OPTIONAL_DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]


def pythons_with_tensorflow() -> list[str]:
    """Return those for which pyproject.toml's marker lets TensorFlow be installed."""
    (marker,) = (line for line in OPTIONAL_DEPENDENCIES["training"] if line.startswith("tensorflow"))
    (limit,) = re.findall(r"python_version < '3\.(\d+)'", marker)
    return [python for python in PYTHONS if int(python.split(".")[1]) < int(limit)]


@pytest.fixture(scope="module")
def dry_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DryRun]]:
    """A dry run for each Python. They run at the same time: most of it is waiting for the index."""
    folder = tmp_path_factory.mktemp("dry-runs")
    # Offline, pip's error is the same as for a version that doesn't exist. This wheel of 20 kB exists.
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "--retries", "0"]
    download = ["download", "--quiet", "--no-deps", "--dest", str(folder), "shtab"]
    result = subprocess.run([*pip, *download], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        skip_or_fail("packages", f"no package index answers: {result.stderr.strip()[-200:]}")
    runs = {
        python: start_dry_run(python, REQUIREMENT, folder, ["--constraint", "constraints.txt"])
        for python in PYTHONS
    }
    yield runs
    for run in runs.values():
        run.close()


@pytest.mark.network
@pytest.mark.parametrize("python", PYTHONS)
def test_pins_resolve(dry_runs: dict[str, DryRun], python: str) -> None:
    """All that `make` installs has a wheel for this Python, in versions that go together, all pinned."""
    with_tensorflow = pythons_with_tensorflow()
    if python in with_tensorflow and THIS_PYTHON in with_tensorflow and find_spec("tensorflow") is None:
        skip_or_fail(
            "tensorflow", "TensorFlow is missing though not for this Python: pip can't install it here"
        )
    versions = dry_runs[python].versions()
    assert ("tensorflow" in versions) == (python in with_tensorflow)
    assert set(pin_lines({python: versions})) <= {
        line.split(";")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()
    }


def test_messages_name_pythons_of_tensorflow() -> None:
    """What `sensor-training` says where TensorFlow is missing agrees with pyproject.toml's marker."""
    pythons = pythons_with_tensorflow()
    assert f"{pythons[0]} to {pythons[-1]}" == TENSORFLOW_PYTHONS


def test_markers_where_pythons_differ() -> None:
    """`make constraints` writes a version once, with a marker where not every Python has it."""
    versions = {
        "3.11": {"all": "1", "older": "1", "both": "1", "sensor-monitor": "0.1.0"},
        "3.12": {"all": "1", "older": "1", "both": "2", "middle": "1"},
        "3.13": {"all": "1", "both": "2", "newest": "1"},
    }
    assert pin_lines(versions) == [
        "all==1",
        'both==1; python_version < "3.12"',
        'both==2; python_version >= "3.12"',
        'middle==1; python_version >= "3.12" and python_version < "3.13"',
        'newest==1; python_version >= "3.13"',
        'older==1; python_version < "3.13"',
    ]
