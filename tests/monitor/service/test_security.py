"""What an attacker on the network, or with access to the monitor's output, can't do."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import BrokerFactory, Mosquitto, skip_or_fail, wait_until
from tests.monitor.cli.test_run import reading
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY

SOURCES = sorted(Path("monitor").rglob("*.py")) + sorted(Path("training").rglob("*.py"))
SECRET = "geheim-und-lang"  # noqa: S105 - of a broker that lives for a test
SCRIPT_TAG = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_nothing_that_runs_data(source: Path) -> None:
    """No module unpickles or evaluates its input."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert not names & {"pickle", "marshal", "shelve", "joblib", "dill"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_reads_only(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, method: str) -> None:
    """HTTP answers GET and refuses all methods that change something; it listens on loopback."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor:
        assert monitor.address.startswith("http://127.0.0.1:")
        for path in ("/", "/metrics", "/livez", "/readyz"):
            assert httpx.request(method, monitor.address + path).status_code == 405


def test_secrets_stay_secret(tmp_path: Path, new_broker: BrokerFactory, toy_bundle: Path) -> None:
    """The password appears in no log, info, page, metric, error or file of the monitor."""
    program = shutil.which("mosquitto_passwd") or skip_or_fail(
        "mosquitto", "mosquitto_passwd is not installed"
    )
    passwords = tmp_path / "passwords"
    subprocess.run([str(program), "-c", "-b", passwords, "monitor", SECRET], check=True)
    broker = new_broker("allow_anonymous false", f"password_file {passwords}")
    broker.start()
    login = f'username = "monitor"\npassword = "{SECRET}"'
    monitor = Monitor(tmp_path, toy_bundle, broker.port, '[log]\nlevel = "debug"', mqtt_toml=login)
    with (
        run_monitor(monitor),
        connect_client(broker.port, "#", username="monitor", password=SECRET) as mqtt_client,
    ):
        mqtt_client.publish("plant/a/b/reading", [reading(1000 + 5 * number, FAULTY) for number in range(3)])
        wait_until(lambda: mqtt_client.payloads("sensor-monitor/alerts/"), "an alert comes")
        for path in ("/", "/metrics", "/livez", "/readyz"):
            assert SECRET not in monitor.get(path)[1]
        for _, payload, _ in mqtt_client.messages:
            assert SECRET.encode() not in payload
        broker.stop()
        wait_until(lambda: monitor.get("/readyz")[0] == 503, "it notices the end of the broker")
        assert monitor.terminate() == 0
    assert SECRET not in monitor.log()
    for path in tmp_path.glob("state.db*"):
        assert SECRET.encode() not in path.read_bytes()


def test_names_from_the_wire(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A group's name with markup, dots or quotes is data: it is on no page and makes no file."""
    names = [SCRIPT_TAG, "..", "~", "${HOME}", "a'; DROP TABLE groups; --", "\u202eabc"]
    # A broker takes no control characters; the tests of the log show that it escapes them.
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/alerts/#") as mqtt_client, run_monitor(monitor):
        before = sorted(tmp_path.iterdir())
        for name in names:
            topic = f"plant/line1/{name}/reading"
            mqtt_client.publish(topic, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
            mqtt_client.publish(topic, b"{" + name.encode())
        wait_until(lambda: len(mqtt_client.messages) == len(names), "each is judged")
        groups = {event["group"] for event in mqtt_client.payloads("sensor-monitor/alerts/")}
        assert groups == {f"line1/{name}" for name in names}
        for path in ("/", "/metrics", "/readyz"):
            assert "line1" not in monitor.get(path)[1]
        assert "\u202e" not in monitor.log()
        assert sorted(tmp_path.iterdir()) == before


def test_no_telemetry(tmp_path: Path, toy_bundle: Path) -> None:
    """ONNX Runtime writes no machine id to the home folder, and sends no telemetry."""
    for name in ("home", "cache"):
        (tmp_path / name).mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    environment |= {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment["MONITOR_HTTP__PORT"] = "0"
    command = [sys.executable, "-m", "monitor", "check", "--bundle", toy_bundle]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
