"""What the monitor writes is for its own user, and never goes where somebody else planted a link."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from monitor.config.exposed_secrets import find_exposed_secrets
from monitor.config.http_settings import HttpSettings
from monitor.config.mqtt_settings import MqttSettings, TlsSettings
from monitor.config.settings import Settings
from monitor.core.verdicts import AlertEvent
from monitor.groups.reading_history import ReadingsAround
from monitor.operators.false_alarms import FalseAlarmFile
from tests.conftest import Mosquitto
from tests.support.processes import Monitor, run_monitor
from tests.support.toy_bundle import HEALTHY, NAMES

SECRETS = ["mqtt.password_file", "mqtt.tls.keyfile", "http.token_file", "http.keyfile"]
# Plants a link under the temporary name that ends in the process's own id, then writes the scores.
_ATTACKED_BACKTEST = """
import os, sys
os.umask(0o022)
os.symlink("victim.txt", f".scores.csv.{os.getpid()}.part")
from monitor.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can enter; those of pytest are private."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_store_is_private(tmp_path: Path, toy_bundle: Path, mosquitto: Mosquitto) -> None:
    """With the usual umask nobody else can read the store, its log, or the folder that was made for it."""
    path = tmp_path / "var" / "state.db"
    script = 'umask 022; exec "$0" -m monitor "$@"'
    monitor = Monitor(
        tmp_path, toy_bundle, mosquitto.port, store_path=path, command=("sh", "-c", script, sys.executable)
    )
    with run_monitor(monitor):
        assert {file.name: _mode(file) for file in path.parent.iterdir()} == {
            "state.db": 0o600,
            "state.db-wal": 0o600,
        }
        assert _mode(path.parent) == 0o700


def test_false_alarms_are_private(tmp_path: Path) -> None:
    """Nobody else can read the file of false alarms, or the folder that was made for it."""
    file = FalseAlarmFile(tmp_path / "new" / "false_alarms.csv", NAMES)
    event = AlertEvent("g:1", "firing", "g", 0.9, 1.0, None, [1.0], [HEALTHY], out_of_range=False)
    previous = os.umask(0o022)
    try:
        assert file.append(event, ReadingsAround(np.array([1.0]), np.array([HEALTHY])))
    finally:
        os.umask(previous)
    assert (_mode(file.path), _mode(file.path.parent)) == (0o600, 0o700)


def test_backtest_follows_no_planted_link(tmp_path: Path, toy_bundle: Path) -> None:
    """A link under the name of its temporary file isn't followed; the scores have the rights of the umask."""
    victim, scores = tmp_path / "victim.txt", tmp_path / "scores.csv"
    victim.write_text("not to be changed")
    recording = tmp_path / "plant.csv"
    rows = [f"{1000 + 5 * number},g,{','.join(map(str, HEALTHY))}" for number in range(9)]
    recording.write_text("\n".join([f"ts,group,{','.join(NAMES)}", *rows]) + "\n")
    options = ["--bundle", toy_bundle, "--recording", recording, "--out", scores]
    subprocess.run(
        [sys.executable, "-c", _ATTACKED_BACKTEST, "backtest", *options],
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )
    assert victim.read_text() == "not to be changed"
    assert (len(scores.read_text().splitlines()), _mode(scores)) == (10, 0o644)


@pytest.mark.parametrize(
    ("mode", "folder_mode", "is_exposed"),
    [(0o644, 0o755, True), (0o600, 0o755, False), (0o640, 0o755, False), (0o644, 0o700, False)],
)
def test_readable_password(open_folder: Path, mode: int, folder_mode: int, *, is_exposed: bool) -> None:
    """A warning names a password, a key or a token in a file that everybody can read, and no other."""
    file = open_folder / "secrets" / "word"
    file.parent.mkdir()
    file.write_text("word")
    file.chmod(mode)
    file.parent.chmod(folder_mode)
    tls = TlsSettings(certfile=file, keyfile=file)
    settings = Settings(
        mqtt=MqttSettings(username="monitor", password_file=file, tls=tls),
        http=HttpSettings(token_file=file, certfile=file),
    )
    names = [warning.split(":")[0] for warning in find_exposed_secrets(settings)]
    assert names == (SECRETS if is_exposed else [])


@pytest.mark.parametrize(
    ("host", "encrypted", "is_exposed"),
    [
        ("broker.plant.example", False, True),
        ("192.0.2.7", False, True),
        ("broker.plant.example", True, False),
        ("127.0.0.1", False, False),
        ("127.8.8.8", False, False),
        ("::1", False, False),
        ("localhost", False, False),
        ("localhost.example", False, True),
    ],
)
def test_password_on_the_network(host: str, *, encrypted: bool, is_exposed: bool) -> None:
    """A warning says that a password goes unencrypted to another machine."""
    mqtt = MqttSettings(host=host, username="monitor", password="word", tls=TlsSettings(enabled=encrypted))  # type: ignore[arg-type]  # noqa: S106
    warnings = list(find_exposed_secrets(Settings(mqtt=mqtt)))
    assert [host in warning and "unencrypted" in warning for warning in warnings] == [True] * is_exposed


def test_monitor_warns(open_folder: Path, tmp_path: Path, toy_bundle: Path, mosquitto: Mosquitto) -> None:
    """`run` warns in its log, `check` in what it prints; neither says the password."""
    file = open_folder / "word"
    file.write_text("hunter2")
    file.chmod(0o644)
    toml = f'username = "monitor"\npassword_file = "{file}"'
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, mqtt_toml=toml)
    with run_monitor(monitor):
        monitor.wait_for_log("WARNING mqtt.password_file: every user of this machine can read")
        assert "hunter2" not in monitor.log()
    command = [sys.executable, "-m", "monitor", "check", "--config", tmp_path / "monitor.toml"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "warning: mqtt.password_file: every user of this machine can read" in result.stdout
    assert "hunter2" not in result.stdout
