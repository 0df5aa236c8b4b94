import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY


def test_copy_of_a_suspended_monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A copy of both files, made while the process is suspended, is sound, and a monitor goes on from it."""
    copy = tmp_path / "copy"
    copy.mkdir()
    with (
        run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor,
        connect_client(mosquitto.port, "sensor-monitor/alerts/#") as other,
    ):
        for group in range(20):
            values = [HEALTHY, HEALTHY, FAULTY if group < 5 else HEALTHY]
            readings = [reading(1000 + 5 * step, value) for step, value in enumerate(values)]
            other.publish(f"plant/line1/station{group}/reading", readings)
        wait_until(lambda: len(other.payloads("sensor-monitor/alerts/")) == 5, "all alerts are there")
        wait_until(lambda: monitor.outcomes() == {"filling": 40, "judged": 20}, "all groups are stored")

        refused = subprocess.run(
            ["sqlite3", tmp_path / "state.db", f".backup {tmp_path / 'refused.db'}"],
            capture_output=True, text=True, check=False,
        ) if shutil.which("sqlite3") else None  # fmt: skip
        if refused:
            assert "database is locked" in refused.stderr

        assert monitor.process is not None
        os.kill(monitor.process.pid, signal.SIGSTOP)
        try:
            for name in ("state.db", "state.db-wal"):
                shutil.copy(tmp_path / name, copy / name)
        finally:
            os.kill(monitor.process.pid, signal.SIGCONT)
        assert monitor.get("/livez")[0] == 200

    checked = tmp_path / "checked"
    shutil.copytree(copy, checked)
    with closing(sqlite3.connect(checked / "state.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    restored = Monitor(tmp_path, toy_bundle, mosquitto.port, store_path=copy / "state.db")
    with run_monitor(restored):
        assert "restored 20 groups, 5 open incidents" in restored.log()
