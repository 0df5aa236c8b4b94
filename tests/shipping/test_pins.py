"""The versions in constraints.txt can be installed with every Python that README names."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from packaging.utils import canonicalize_name

from tests.conftest import ROOT, skip_or_fail
from tests.shipping.constraints import REQUIREMENT, SECTIONS, find_needed
from tests.shipping.pins import pin_lines, read_pins, supported_pythons, write_plain_pins
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
    plain = folder / "plain.txt"
    write_plain_pins(plain, read_pins())
    runs = {
        python: start_dry_run(python, REQUIREMENT, folder, ["--constraint", str(plain)]) for python in PYTHONS
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
    report = dry_runs[python].report()["install"]
    wheels = [package for package in report if "archive_info" in package["download_info"]]
    found = {package["metadata"]["name"]: package for package in wheels}
    versions = {name: package["metadata"]["version"] for name, package in found.items()}
    assert ("tensorflow" in versions) == (python in with_tensorflow)
    pins = {f"{pin.name}=={pin.version}": pin for pin in read_pins()}
    for name, version in versions.items():
        digest = found[name]["download_info"]["archive_info"]["hashes"]["sha256"]
        assert digest in pins[f"{name}=={version}"].hashes, f"the wheel of {name} for {python} has its hash"


def test_messages_name_pythons_of_tensorflow() -> None:
    """What `sensor-training` says where TensorFlow is missing agrees with pyproject.toml's marker."""
    pythons = pythons_with_tensorflow()
    assert f"{pythons[0]} to {pythons[-1]}" == TENSORFLOW_PYTHONS


@pytest.mark.network
@pytest.mark.parametrize(
    ("requirements", "sections"),
    [
        (SECTIONS["monitor"], {"monitor"}),
        (SECTIONS["build"], {"monitor", "build"}),
        (SECTIONS["tensorflow"], {"monitor", "training", "tensorflow"}),
        (SECTIONS["dev"] + SECTIONS["training"], set(SECTIONS) - {"tensorflow"}),
    ],
)
def test_sections_are_complete(
    dry_runs: dict[str, DryRun], requirements: list[str], sections: set[str]
) -> None:
    """What an image or `make` installs of constraints.txt has all that its programs need."""
    has = {canonicalize_name(pin.name) for pin in read_pins() if pin.section in sections}
    for python, run in dry_runs.items():
        packages = {canonicalize_name(package["name"]): package for package in run.packages()}
        assert find_needed(packages, requirements, python) - {"sensor-monitor"} <= has


def test_no_package_twice() -> None:
    """No package has two pins for one Python, which pip refuses."""
    pins = [(canonicalize_name(pin.name), pin.marker) for pin in read_pins()]
    assert len(pins) == len(set(pins))


def test_hashes() -> None:
    """Each pin has hashes, no host is named, and pip finds the hash of another file wrong."""
    text = (ROOT / "constraints.txt").read_text()
    assert all(pin.hashes for pin in read_pins())
    assert "://" not in text
    assert "index" not in text


def test_markers_where_pythons_differ() -> None:
    """`make constraints` writes a version once, with a marker where not every Python has it."""
    versions = {
        "3.11": {"all": "1", "older": "1", "both": "1"},
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
