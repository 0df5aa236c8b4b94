"""`sensor-monitor discover` on a real broker."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.cli.main import main
from tests.conftest import TIMEOUT_S, Mosquitto, free_port, wait_until
from tests.monitor.cli.discover.layouts import LAYOUTS
from tests.monitor.cli.discover.plant import values_of
from tests.support.processes import Monitor, connect_client, run_monitor

AT_ONCE = ("zigbee2mqtt", "esphome", "tasmota", "kepware", "plain")
ROOTS = {"zigbee2mqtt", "rack3", "rack4", "tele", "iotgateway", "plant"}
"""First levels of their topics."""
PERIOD_S = 0.5


@contextmanager
def plant(port: int, names: tuple[str, ...]) -> Iterator[None]:
    """Publish rounds of these layouts until the end."""
    stop = threading.Event()

    def publish() -> None:
        with connect_client(port) as client:
            step = 0
            while not stop.wait(PERIOD_S):
                for name in names:
                    for number, rack in enumerate(LAYOUTS[name].racks):
                        for topic, payload in LAYOUTS[name].messages(
                            rack, time.time(), values_of(number, step)
                        ):
                            client.publish(topic, payload, qos=0)
                step += 1

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(TIMEOUT_S)


def run_command(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command of `sensor-monitor` until it ends."""
    command = [sys.executable, "-m", "monitor", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)


@pytest.fixture
def broker(mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Mosquitto:
    """A broker that the commands find by the environment."""
    monkeypatch.setenv("MONITOR_MQTT__PORT", str(mosquitto.port))
    return mosquitto


def test_five_layouts_at_once(tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proposed for five layouts is taken by `run` as it is, and all groups are judged."""
    monkeypatch.setenv("MONITOR_STORE__PATH", str(tmp_path / "s.db"))
    monkeypatch.setenv("MONITOR_HTTP__PORT", "0")
    monitor = Monitor(tmp_path, tmp_path, broker.port)
    settings = tmp_path / "monitor.toml"
    with plant(broker.port, AT_ONCE), connect_client(broker.port, "#") as other:
        done = run_command("discover", "--bundle", "", "--seconds", "5")
        assert done.returncode == 0, done.stderr
        assert {topic.split("/")[0] for topic, _, _ in other.messages} == ROOTS
        settings.write_text(done.stdout)
        listened = run_command("check", "--config", settings, "--listen", "3")
        assert listened.returncode == 0, listened.stderr
        assert "groups: 10, of which 10 have all features" in listened.stdout, listened.stdout
        with run_monitor(monitor):
            states: dict[str, str] = {}

            def are_judged() -> bool:
                states.update({s["group"]: s["state"] for s in other.payloads("sensor-monitor/state/")})
                return len(states) == 10 and set(states.values()) <= {"warming", "normal"}

            wait_until(are_judged, f"all groups are judged: {states}")
            wait_until(lambda: monitor.outcomes().get("judged", 0) >= 10, "there are verdicts")
        assert not other.payloads("sensor-monitor/alerts/")


def test_retained_and_filtered(broker: Mosquitto) -> None:
    """Retained messages are marked; with --filter only its topics are listened to."""
    with connect_client(broker.port) as client:
        client.publish("shellies/x/sensor/temperature", b"21.5", retain=True)
        client.publish("other/temperature", b"3", retain=True)
        done = run_command("discover", "--bundle", "", "--seconds", "0.5", "--filter", "shellies/#")
    assert done.returncode == 0, done.stderr
    assert "# 1 messages on 1 topics" in done.stdout
    assert "# shellies/x/sensor/temperature: number, once, 1 retained, no event time\n" in done.stdout
    assert "# the groups don't have temperature_1, humidity_1, temperature_2, humidity_2" in done.stdout
    assert '[[features]]\nname = "temperature_1"\nunit = "degC"' in done.stdout


def test_nothing_came(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without any message, or without a broker, the exit code is 1."""
    monkeypatch.setenv("MONITOR_MQTT__PORT", str(mosquitto.port))
    assert main(["discover", "--bundle", "", "--seconds", "0.1"]) == 1
    assert "discover: nothing came within" in capsys.readouterr().err
    monkeypatch.setenv("MONITOR_MQTT__PORT", str(free_port()))
    assert main(["discover", "--bundle", "", "--seconds", "0.1"]) == 1
    assert "no connection to 127.0.0.1" in capsys.readouterr().err
