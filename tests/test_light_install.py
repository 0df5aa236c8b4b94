import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import free_port, require, wait_until
from tests.processes import Monitor

ROOT = Path(__file__).parent.parent
HEAVY = {"tensorflow", "keras", "scikit-learn", "pandas", "onnx", "amqtt", "rich", "pyarrow"}


def test_monitor_alone(tmp_path: Path, toy_bundle: Path) -> None:
    """Installed without extras, the monitor needs no training library and judges all the same."""
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    constraints = ROOT / "constraints.txt"
    done = subprocess.run(
        [*pip, "install", "--quiet", "--constraint", constraints, ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        require("packages", f"can't install packages: {done.stderr[-300:]}")
    listed = subprocess.run([*pip, "list", "--format", "freeze"], capture_output=True, text=True, check=True)
    installed = {line.split("==")[0].lower() for line in listed.stdout.splitlines()}
    assert "onnxruntime" in installed
    assert not installed & HEAVY

    monitor = Monitor(tmp_path, toy_bundle, free_port(), command=(str(python.parent / "sensor-monitor"),))
    home = Path.cwd()
    os.chdir(tmp_path)  # away from the sources, so that what runs is what was installed
    try:
        monitor.start()
        wait_until(lambda: monitor.get("/livez")[0] == 200, "it is alive")
        assert monitor.terminate() == 0
    finally:
        os.chdir(home)
        monitor.kill()


def test_monitor_imports_nothing_heavy() -> None:
    """Even where the training libraries are there, no module of the daemon imports one."""
    script = (
        "import sys, monitor.daemon, monitor.check, monitor.backtest, monitor.replay\n"
        f"print(*sorted({HEAVY | {'sklearn'}!r} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == ""
