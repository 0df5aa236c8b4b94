import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, require

UNIT = ROOT / "config" / "systemd" / "sensor-monitor.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is here, and as its first comment says where systemd is older than 253."""
    program = shutil.which("systemd-analyze") or require("systemd", "systemd-analyze is not installed")
    version = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text())
    if int(version.split()[1]) < 253:
        text = text.replace("Type=notify-reload", "Type=notify\nExecReload=kill -HUP $MAINPID")
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    return copy


def test_unit_is_understood(unit: Path) -> None:
    """No line of the unit is unknown to systemd."""
    command = ["systemd-analyze", "verify", "--man=no", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_unit_is_as_closed_as_the_readme_says(unit: Path) -> None:
    """What `systemd-analyze security` counts is no more than the figure in the README."""
    (figure,) = re.findall(r"exposure (?:level )?of (\d\.\d)", (ROOT / "README.md").read_text())
    threshold = str(round(float(figure) * 10))
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={threshold}",
        "--no-pager",
        unit,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]


def test_unit_and_program_agree() -> None:
    """It starts the program with words that it takes, and what can't be used is not started again."""
    lines = [line.partition("=") for line in UNIT.read_text().splitlines() if not line.startswith("#")]
    settings = {name: value for name, equals, value in lines if equals}
    assert settings["Type"] == "notify-reload"
    assert settings["RestartPreventExitStatus"] == "2"
    words = settings["ExecStart"].split()
    program, *rest = words
    assert Path(program).name == "sensor-monitor"
    done = subprocess.run(
        [sys.executable, "-m", "monitor", *rest], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 2, "no settings stand there, and no word of the command was wrong"
    assert f"{rest[-1]}: can't be read" in done.stderr
