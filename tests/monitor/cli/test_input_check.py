"""`check --listen`: what the plant's real messages become."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.main import main
from tests.conftest import TIMEOUT_S, Mosquitto, free_port, wait_until
from tests.monitor.cli.test_record import TOPIC, reading
from tests.support.processes import connect_client

SOURCES = """
[[input.sources]]
topic = "{node}/sensor/{feature}/state"
format = "number"
features = {temperature_1 = "t1", humidity_1 = "h1", temperature_2 = "t2", humidity_2 = "h2"}
[input.align]
period = 0.2
wait = 0.1
"""


def _configure(folder: Path, bundle: Path, port: int, extra: str = "") -> Path:
    config = folder / "check.toml"
    store = f'[store]\npath = "{folder}/s.db"\n[http]\nport = 0\n'
    config.write_text(f'bundle = "{bundle}"\n[mqtt]\nport = {port}\n{store}{extra}')
    return config


def _listen(
    folder: Path, bundle: Path, broker: Mosquitto, extra: str, messages: Sequence[tuple[str, Any]]
) -> tuple[int, str]:
    """Run the command, publish once it is subscribed, interrupt it; return exit code and output.

    Parameters
    ----------
    messages : topic and payload of each message; all are acknowledged before the command is interrupted.
    """
    config = _configure(folder, bundle, broker.port, extra)
    words = [sys.executable, "-m", "monitor", "check", "--config", config, "--listen", "9999"]
    log_file = broker.folder / "mosquitto.log"
    with connect_client(broker.port) as plant:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(
                lambda: "Received SUBSCRIBE from sensor-check-" in log_file.read_text(), "it subscribes"
            )
            for topic, payload in messages:
                plant.publish(topic, payload)
            wait_until(
                lambda: log_file.read_text().count("Received PUBACK from sensor-check-") == len(messages),
                "all are counted",
            )
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    return process.returncode, output + errors


@pytest.fixture
def broker(new_broker: Callable[..., Mosquitto]) -> Mosquitto:
    """A broker that logs who subscribes, and who acknowledges a message."""
    built = new_broker("allow_anonymous true", "log_type all")
    built.start()
    return built


def test_readings(tmp_path: Path, broker: Mosquitto, toy_bundle: Path) -> None:
    """Readings are counted by outcome and reason, with the field's path; the monitor's stages judge them."""
    payloads = [
        *(reading(1000 + 5 * step) for step in range(4)),
        reading(1015),
        {"ts": 1020, "temperature_1": 3},
        reading(1025, humidity_1="5"),
        reading(1025, humidity_1="6"),
    ]
    code, output = _listen(tmp_path, toy_bundle, broker, "", [(TOPIC, payload) for payload in payloads])
    assert code == 130, output
    assert "8 messages in " in output
    assert "readings: malformed 3, filling 2, judged 2, duplicate 1" in output
    assert "groups: 1, of which 1 have all features\n  a/b: temperature_1 4" in output
    reasons = output.split("the most common first:\n")[1].splitlines()
    assert reasons[0].startswith("  2 x malformed, such as plant/a/b/reading: ")
    assert "$.humidity_1" in reasons[0]


def test_values(tmp_path: Path, broker: Mosquitto, toy_bundle: Path) -> None:
    """Of values, each group's features are counted, and the missing ones named."""
    messages = [
        *((f"esp1/sensor/{feature}/state", b"20") for feature in ("t1", "h1", "t2", "h2")),
        ("esp2/sensor/t1/state", b"20"),
        ("esp2/sensor/h1/state", b"broken"),
        ("esp2/sensor/wifi/state", b"-60"),
    ]
    code, output = _listen(tmp_path, toy_bundle, broker, SOURCES, messages)
    assert code == 130, output
    assert re.search(r"values: accepted 5, malformed 1, unmatched 1$", output, re.MULTILINE), output
    assert "groups: 2, of which 1 have all features\n  esp2: temperature_1 1; missing: humidity_1" in output
    assert "  esp1: temperature_1 1, humidity_1 1, temperature_2 1, humidity_2 1\n" in output
    assert "malformed, such as esp2/sensor/h1/state: $.value is 'broken'; expected a number" in output


def test_nothing_came(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without anything usable, or without a broker, the exit code is 1."""
    for port, expected in (
        (mosquitto.port, "input: nothing usable came within"),
        (free_port(), "no connection to 127.0.0.1"),
    ):
        config = _configure(tmp_path, toy_bundle, port)
        assert main(["check", "--config", str(config), "--listen", "0.1"]) == 1
        assert expected in capsys.readouterr().err


def test_ends_after_seconds(tmp_path: Path, broker: Mosquitto, toy_bundle: Path) -> None:
    """After the given time the exit code is 0 if something usable came."""
    config = _configure(tmp_path, toy_bundle, broker.port)
    words = [sys.executable, "-m", "monitor", "check", "--config", config, "--listen", "2"]
    with connect_client(broker.port) as plant:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

        def has_exited() -> bool:
            plant.publish(TOPIC, reading(time.time()), qos=0)
            return process.poll() is not None

        wait_until(has_exited, "it ends by itself")
        output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "groups: 1" in output
