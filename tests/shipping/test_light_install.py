import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from monitor import __version__
from tests.conftest import ROOT, Mosquitto, skip_or_fail, wait_until
from tests.monitor.cli.test_run import reading
from tests.support.processes import Monitor, connect_client
from tests.support.toy_bundle import FAULTY

TRAINING_LIBRARIES = {
    "tensorflow",
    "keras",
    "scikit-learn",
    "pandas",
    "onnx",
    "amqtt",
    "rich",
    "pyarrow",
    "jinja2",
}


@pytest.fixture(scope="module")
def dist_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if result.returncode:
        skip_or_fail("packages", f"can't build: {result.stdout[-300:]}{result.stderr[-300:]}")
    return folder


@pytest.fixture(scope="module")
def bin_folder(dist_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a new virtual environment with the wheel and no extras."""
    folder = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    (wheel,) = dist_folder.glob("*.whl")
    packages = folder / "monitor.txt"
    sed = ["sed", "-n", "/^# monitor$/,/^$/p", ROOT / "constraints.txt"]
    packages.write_bytes(subprocess.run(sed, capture_output=True, check=True).stdout)
    for arguments in (["--require-hashes", "--requirement", packages], ["--no-deps", "--no-index", wheel]):
        result = subprocess.run([*pip, *arguments], capture_output=True, text=True, check=False)
        if result.returncode:
            skip_or_fail("packages", f"can't install packages: {result.stderr[-300:]}")
    return folder / "bin"


def test_wheel(dist_folder: Path) -> None:
    """The wheel contains all files of both packages and nothing else, and has correct metadata."""
    (wheel_file,) = dist_folder.glob("*.whl")
    with zipfile.ZipFile(wheel_file) as wheel:
        names = wheel.namelist()
        dist_info = f"sensor_monitor-{__version__}.dist-info"
        metadata = Parser().parsestr(wheel.read(f"{dist_info}/METADATA").decode())
        entries = wheel.read(f"{dist_info}/entry_points.txt").decode()
    assert {name.split("/", maxsplit=1)[0] for name in names} == {"monitor", "training", dist_info}
    for package in ("monitor", "training"):
        sources = {
            str(path.relative_to(ROOT))
            for path in (ROOT / package).rglob("*")
            if path.is_file() and path.parent.name != "__pycache__"
        }
        assert sources <= set(names)
    assert (metadata["Name"], metadata["Version"]) == ("sensor-monitor", __version__)
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"training", "demo"} <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["License-Expression"] == "MIT"
    assert f"{dist_info}/licenses/LICENSE" in names
    assert metadata.get_payload() == (ROOT / "README.md").read_text()
    assert "sensor-monitor = monitor.cli.main:main" in entries
    assert "sensor-training = training.cli.main:main" in entries


def test_sdist(dist_folder: Path) -> None:
    """The sdist contains the repository without generated files and secrets."""
    (sdist_file,) = dist_folder.glob("*.tar.gz")
    with tarfile.open(sdist_file) as archive:
        names = {name.split("/", maxsplit=1)[1] for name in archive.getnames()}
    expected = {
        "README.md",
        "LICENSE",
        "docs/README.md",
        "CHANGELOG.md",
        "Makefile",
        "constraints.txt",
        "config/monitor.toml",
    }
    assert expected | {"docker/compose.yaml", "tests/conftest.py", "pyproject.toml"} <= names
    assert not [
        name for name in names if name.startswith((".venv", "var", "docker/secrets/")) or "cache" in name
    ]


def test_monitor_without_extras(
    bin_folder: Path,
    tmp_path: Path,
    toy_bundle: Path,
    mosquitto: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Installed without extras and so without training libraries, the monitor checks, runs and judges."""
    pip = [bin_folder / "python", "-m", "pip", "--disable-pip-version-check"]
    pip_list = subprocess.run(
        [*pip, "list", "--format", "freeze"], capture_output=True, text=True, check=True
    )
    installed_packages = {line.split("==")[0].lower() for line in pip_list.stdout.splitlines()}
    assert "onnxruntime" in installed_packages
    assert not installed_packages & TRAINING_LIBRARIES

    monkeypatch.chdir(tmp_path)  # outside the repository, so that the installed package is imported
    monkeypatch.delenv("PYTHONPATH", raising=False)
    program = str(bin_folder / "sensor-monitor")
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, command=(program,))
    for arguments, expected_output in (
        (["--version"], f"sensor-monitor {__version__}"),
        (["check", "--config", "monitor.toml", "--connect"], f"broker 127.0.0.1:{mosquitto.port}: ok"),
    ):
        assert (
            expected_output
            in subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout
        )
    try:
        monitor.start_ready()
        with connect_client(mosquitto.port, "sensor-monitor/alerts/#") as mqtt_client:
            mqtt_client.publish(
                "plant/a/b/reading", [reading(1000 + 5 * number, FAULTY) for number in range(3)]
            )
            wait_until(lambda: mqtt_client.payloads("sensor-monitor/alerts/"), "an alert is received")
        for path in ("/", "/page.js", "/table.js", "/page.css", "/icon.svg"):
            assert monitor.get(path)[0] == 200
        assert monitor.terminate() == 0
    finally:
        monitor.kill()


def test_training_without_its_libraries(bin_folder: Path, tmp_path: Path) -> None:
    """Without the extra `training`, `sensor-training` exits 2 and names the extra."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [bin_folder / "sensor-training", "--version"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert result.returncode == 2
    assert result.stderr.endswith("install sensor-monitor[training]\n")
    assert result.stderr.count("\n") == 1


def test_monitor_imports_no_training_library() -> None:
    """Even where the training libraries are installed, no module of the daemon imports one."""
    script = (
        "import sys, monitor.service.daemon, monitor.cli.startup_checks\n"
        "import monitor.cli.backtest.runner, monitor.cli.replayer, monitor.cli.recorder\n"
        "imported = {name.split('.')[0] for name in sys.modules}\n"
        f"print(*sorted({TRAINING_LIBRARIES | {'sklearn'}!r} & imported))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == ""
