import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import TIMEOUT_S, Mosquitto, free_port, wait_until
from tests.monitor.cli.test_run import reading
from tests.support.full_pipe import FullPipe, open_full_pipe
from tests.support.processes import Monitor, connect_client
from tests.support.toy_bundle import FAULTY

# Long group names, so that their alerts' lines exceed what the log's queue holds.
_GROUPS = [f"{number:03d}{'x' * 900}" for number in range(700)]


@pytest.fixture
def full_pipe() -> Iterator[FullPipe]:
    """A pipe that is full, and that nobody reads."""
    with open_full_pipe() as pipe:
        yield pipe


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_log_that_nobody_reads(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, full_pipe: FullPipe, log_format: str
) -> None:
    """Without a reader of its log the monitor judges, counts dropped lines, and says so once it is read."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    port = free_port()
    log_toml = f'[log]\nformat = "{log_format}"'
    with connect_client(mosquitto.port, "sensor-monitor/#") as other:
        monitor.start_unread(full_pipe.writer, port, log_toml)
        try:
            wait_until(lambda: "online" in other.texts("sensor-monitor/status"), "it is online")
            for group in _GROUPS:
                other.publish(f"plant/l/{group}/reading", [reading(1000 + 5 * i, FAULTY) for i in range(3)])
            wait_until(
                lambda: len(other.payloads("sensor-monitor/alerts/")) == len(_GROUPS), "all alerts arrive"
            )
            assert monitor.get("/livez") == (200, "ok\n")
            assert monitor.metric("log_lines_dropped_total") > 0
            log = bytearray()

            def read_notice() -> bool:
                log.extend(full_pipe.read())
                return b"log lines were dropped" in log

            wait_until(read_notice, "the log says what was dropped")
            # Not before: the last alerts leave before the lines about them are dropped.
            dropped = int(monitor.metric("log_lines_dropped_total"))
            assert f"{dropped} log lines were dropped: nobody read the log".encode() in log
            assert log.count(b"were dropped") == 1
        finally:
            monitor.kill()


def test_sigterm(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, full_pipe: FullPipe) -> None:
    """A monitor whose log nobody reads ends with SIGTERM, and says offline."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/#") as other:
        monitor.start_unread(full_pipe.writer, free_port())
        try:
            wait_until(lambda: "online" in other.texts("sensor-monitor/status"), "it is online")
            assert monitor.terminate() == 0
            wait_until(lambda: "offline" in other.texts("sensor-monitor/status"), "it says offline")
        finally:
            monitor.kill()


def test_refused_start(tmp_path: Path, full_pipe: FullPipe) -> None:
    """A command that can't start ends with its exit code, even if nobody reads why."""
    process = subprocess.run(
        [sys.executable, "-m", "monitor", "run", "--config", tmp_path / "missing.toml"],
        stderr=full_pipe.writer, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert process.returncode == 2
