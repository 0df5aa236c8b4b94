"""`check`, and `run`, with a store or a port that can't be used."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from monitor.cli.main import main
from monitor.config.settings import StoreSettings
from monitor.storage.restore import open_store
from tests.conftest import TIMEOUT_S, Mosquitto, free_port
from tests.support.processes import Monitor, run_monitor
from tests.support.toy_bundle import NAMES


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder with paths that can't be used as a store."""
    closed, readable = tmp_path / "closed", tmp_path / "readable"
    closed.mkdir()
    readable.mkdir()
    (readable / "damaged.db").write_bytes(bytes(16) + b"something else altogether" * 9)
    (tmp_path / "mine.db").touch(0o400)
    (tmp_path / "elsewhere.db").symlink_to(tmp_path / "nowhere" / "s.db")
    closed.chmod(0o000)
    readable.chmod(0o500)
    yield tmp_path
    closed.chmod(0o700)
    readable.chmod(0o700)


def _run_unprivileged(command: str, store: Path, bundle: Path) -> tuple[int, str]:
    """Run a command without the privilege to ignore file modes, which root would have."""
    drop = ["setpriv", "--securebits", "+noroot", "--bounding-set", "-all", "--inh-caps", "-all"]
    environment = {"MONITOR_STORE__PATH": str(store), "MONITOR_HTTP__PORT": "0"}
    done = subprocess.run(
        [*(drop if os.geteuid() == 0 else []), sys.executable, "-m", "monitor", command, "--bundle", bundle],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("closed/s.db", "Permission denied; expected a file that can be reached"),
        ("closed/more/s.db", "Permission denied; expected a "),
        ("readable/s.db", "can't be written; expected "),
        ("mine.db", "can't be written; expected permission to"),
        ("readable", "is no file; expected one"),
        ("x" * 300, "File name too long; expected a file"),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_unusable_store(store_dir: Path, toy_bundle: Path, command: str, name: str, expected: str) -> None:
    """A store that can't be opened, now or later, is a wrong setting: exit code 2 and one line."""
    code, output = _run_unprivileged(command, store_dir / name, toy_bundle)
    assert (code, output.count("\n")) == (2, 1), output
    assert output.startswith("sensor-monitor: environment MONITOR_STORE__PATH: store.path: ")
    assert expected in output


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("readable/damaged.db", "Permission denied; expected permission to rename it, for it is damaged"),
        ("elsewhere.db", "nowhere/s.db; expected a file there"),
    ],
)
def test_store_that_cannot_be_created(store_dir: Path, toy_bundle: Path, name: str, expected: str) -> None:
    """A store that can't be created, or is damaged and can't be renamed, is a wrong setting: exit code 2."""
    code, output = _run_unprivileged("run", store_dir / name, toy_bundle)
    assert code == 2
    assert expected in output.splitlines()[-1]


@pytest.fixture
def config(tmp_path: Path, toy_bundle: Path) -> Path:
    """Settings with a store in a folder that doesn't exist yet, and any free port."""
    file = tmp_path / "monitor.toml"
    store = tmp_path / "var" / "s.db"
    file.write_text(f'bundle = "{toy_bundle}"\n[store]\npath = "{store}"\n[http]\nport = 0\n')
    return file


def test_check_leaves_nothing_behind(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` says that the store will be created, and creates neither it nor its folder."""
    assert main(["check", "--config", str(config)]) == 0
    output = capsys.readouterr().out
    assert "s.db: ok: will be made\n" in output
    assert "http 127.0.0.1:0: ok\n" in output
    assert list(config.parent.iterdir()) == [config]


def test_check_of_a_store_that_does_not_fit(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` says that `run` would set the store aside and why, and doesn't change it."""
    store = config.parent / "var" / "s.db"
    settings = StoreSettings(path=store)
    open_store(settings, NAMES, 4).close()
    before = store.read_bytes()
    assert main(["check", "--config", str(config)]) == 0
    assert "s.db: will be set aside: it holds windows of 4 x" in capsys.readouterr().out
    assert [file.read_bytes() for file in store.parent.iterdir()] == [before]
    open_store(settings, NAMES, 3).close()
    assert main(["check", "--config", str(config)]) == 0
    assert "s.db: ok\n" in capsys.readouterr().out


def test_check_beside_a_running_monitor(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store and a port in use by a running monitor are no errors, and `check` does not disturb it."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor:
        port = int(monitor.address.rpartition(":")[2])
        config = tmp_path / "monitor.toml"
        config.write_text(config.read_text().replace("[http]\nport = 0", f"[http]\nport = {port}"))
        assert main(["check", "--config", str(config)]) == 0
        output = capsys.readouterr().out
        assert "state.db: in use, as by a running monitor\n" in output
        assert f"http 127.0.0.1:{port}: in use, by a running monitor\n" in output
        with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other_server:
            threading.Thread(target=other_server.serve_forever).start()
            text = config.read_text().replace(f"port = {port}", f"port = {other_server.server_port}")
            config.write_text(text)
            assert main(["check", "--config", str(config)]) == 1
            assert f"127.0.0.1:{other_server.server_port}: " in capsys.readouterr().err
            other_server.shutdown()
        assert monitor.get("/readyz")[0] == 200
        assert monitor.terminate() == 0


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6_addresses(
    tmp_path: Path, toy_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """IPv6 addresses are printed in brackets: the page's and the broker's."""
    port, broker_port = free_port(), free_port()
    for name, value in {
        "MONITOR_HTTP__HOST": "::1",
        "MONITOR_HTTP__PORT": str(port),
        "MONITOR_MQTT__HOST": "::1",
        "MONITOR_MQTT__PORT": str(broker_port),
        "MONITOR_STORE__PATH": str(tmp_path / "s.db"),
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["check", "--bundle", str(toy_bundle)]) == 0
    assert f"http [::1]:{port}: ok" in capsys.readouterr().out
    assert main(["check", "--connect", "--bundle", str(toy_bundle)]) == 1
    assert f"[::1]:{broker_port}" in capsys.readouterr().err
