import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.config.loading import load_settings
from monitor.web.connections import MAX_CONNECTIONS
from tests.conftest import ROOT, skip_or_fail

UNIT_FILE = ROOT / "config" / "systemd" / "sensor-monitor.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with an existing program; for a systemd older than 253, changed as the unit's comment says."""
    program = shutil.which("systemd-analyze") or skip_or_fail("systemd", "systemd-analyze is not installed")
    version = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT_FILE.read_text())
    if int(version.split()[1]) < 253:
        text = text.replace("Type=notify-reload", "Type=notify\nExecReload=kill -HUP $MAINPID")
    unit_copy = tmp_path / UNIT_FILE.name
    unit_copy.write_text(text)
    return unit_copy


def test_unit_passes_systemd_verify(unit: Path) -> None:
    """`systemd-analyze verify` finds no error in the unit."""
    command = ["systemd-analyze", "verify", "--man=no", unit]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_unit_exposure_is_documented(unit: Path) -> None:
    """The exposure level by `systemd-analyze security` is at most the figure in the README."""
    (exposure,) = re.findall(r"exposure (?:level )?of (\d\.\d)", (ROOT / "README.md").read_text())
    threshold = str(round(float(exposure) * 10))
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={threshold}",
        "--no-pager",
        unit,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-200:]


def test_unit_loads_the_secrets(tmp_path: Path) -> None:
    """The settings take the paths that the unit's comment gives for its credentials."""
    text = UNIT_FILE.read_text()
    names = re.findall(r"(?m)^LoadCredential=([\w-]+):sensor-monitor\.\1$", text)
    assert names == ["mqtt-password", "http-token"]
    folder = f"/run/credentials/{UNIT_FILE.name}"
    assert f"{folder}/mqtt-password as mqtt.password_file" in text
    config_file = tmp_path / "monitor.toml"
    config_file.write_text(
        f'[mqtt]\nusername = "monitor"\npassword_file = "{folder}/mqtt-password"\n'
        f'[http]\ntoken_file = "{folder}/http-token"\n'
    )
    settings = load_settings(config_file, {})
    assert [settings.mqtt.password_file, settings.http.token_file] == [Path(folder) / name for name in names]


def test_unit_command_is_valid() -> None:
    """The unit's command line is valid, and the unit isn't restarted after exit code 2."""
    lines = [line.partition("=") for line in UNIT_FILE.read_text().splitlines() if not line.startswith("#")]
    settings = {name: value for name, separator, value in lines if separator}
    assert settings["Type"] == "notify-reload"
    assert settings["RestartPreventExitStatus"] == "2"
    assert settings["StateDirectoryMode"] == "0700"
    assert settings["MemoryMax"] == "1G"
    assert int(settings["TasksMax"]) > 0
    assert int(settings["LimitNOFILE"]) >= 2 * MAX_CONNECTIONS, "HTTP has all its connections"
    command = settings["ExecStart"].split()
    program, *arguments = command
    assert Path(program).name == "sensor-monitor"
    result = subprocess.run(
        [sys.executable, "-m", "monitor", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert result.returncode == 2, "the settings file doesn't exist, which is the only error"
    assert f"{arguments[-1]}: can't be read" in result.stderr
