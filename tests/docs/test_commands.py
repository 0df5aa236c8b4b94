import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, ROOT, Mosquitto, require, wait_until
from tests.support.processes import client


def shell_commands() -> list[str]:
    """Return the lines of the README's shell blocks in their order, but for `make` and `activate`."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    lines = "".join(blocks).splitlines()
    return [line for line in lines if not line.startswith(("make ", ". "))]


def test_commands_run(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A newcomer's plant: every command of the README, in its order, does what it says."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MONITOR_MQTT__PORT": str(mosquitto.port),
        "MONITOR_HTTP__PORT": "0",
    }
    if shutil.which("sensor-monitor", path=environment["PATH"]) is None:
        require("commands", "sensor-monitor is not installed here; `make test` installs it")

    def run(line: str) -> None:
        subprocess.run(line, shell=True, check=True, cwd=tmp_path, env=environment)  # noqa: S602

    run("sensor-training simulate --out plant.csv --groups 2 --hours 1")
    daemon = None
    with client(mosquitto.port, "sensor-monitor/#") as listener:
        try:
            for line in shell_commands():
                if line.startswith("export "):
                    name, value = line.removeprefix("export ").split("=")
                    environment[name] = value
                elif line.startswith("sensor-monitor run"):
                    daemon = subprocess.Popen(line.split(), cwd=tmp_path, env=environment)
                    wait_until(lambda: listener.texts("sensor-monitor/status"), "the daemon is online")
                else:
                    run(line)
            states = {"sensor-monitor/state/line1/station1", "sensor-monitor/state/line1/station2"}
            wait_until(lambda: states <= {topic for topic, _, _ in listener.messages}, "both are judged")
        finally:
            if daemon is not None:
                daemon.terminate()
                assert daemon.wait(PATIENCE) == 0
    assert (tmp_path / "var" / "scores.csv").read_text().count("\n") == 1 + 1440


def test_make_demo(tmp_path: Path) -> None:
    """`make demo` trains a bundle where there is none, finds faults, and keeps score."""
    environment = ROOT / ".venv"
    if not (environment / "installed").exists():
        pytest.skip("there is no .venv here; `make test` makes it")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, tmp_path)
    (tmp_path / ".venv").symlink_to(environment)
    done = subprocess.run(
        ["make", "demo", "SECONDS=10"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    card = {name: int(number) for name, number in re.findall(r"│ ([a-z ]+?) +│ (\d+) ", done.stdout)}
    assert card["faults injected"] > 0
    assert card["found"] > 0
