"""A paho whose private interface differs is found out, and the monitor works without it."""

import ast
import inspect
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt import __version__ as paho_version
from paho.mqtt.enums import CallbackAPIVersion

from monitor.mqtt import client as mqtt_client
from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.plain_client import PlainClient
from monitor.mqtt.private_api import ATTRIBUTES, METHODS, private_api_problems
from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.support.processes import Monitor, connect_client
from tests.support.toy_bundle import FAULTY, HEALTHY

WARNING = "Going on as with mqtt.bulk = false"


@pytest.fixture(autouse=True)
def _warn_again() -> Iterator[None]:
    """Forget which warnings were logged by other tests in this process, and by this one."""
    mqtt_client.warn_once.cache_clear()
    yield
    mqtt_client.warn_once.cache_clear()


def _with_another_parameter(name: str) -> Callable[..., Any]:
    """Return a method that does what paho's does, with a parameter more."""
    original = getattr(paho.Client, name)

    def method(self: paho.Client, *args: Any, later: object = None, **kwargs: Any) -> Any:  # noqa: ARG001
        return original(self, *args, **kwargs)

    return method


def test_all_private_names_are_checked() -> None:
    """The check covers every private method and attribute of paho that `BulkClient` uses."""
    (class_node,) = ast.parse(inspect.getsource(BulkClient)).body
    used = {node.attr for node in ast.walk(class_node) if isinstance(node, ast.Attribute)}
    private = {name for name in used if name.startswith("_") and not name.startswith("__")}
    assert private & (set(dir(paho.Client)) | set(vars(PlainClient(CallbackAPIVersion.VERSION2)))) == {
        *METHODS,
        *ATTRIBUTES,
    }


def test_installed_paho_is_supported() -> None:
    """The installed paho has all of it."""
    assert private_api_problems(paho.Client) == []


@pytest.mark.parametrize("name", METHODS)
def test_missing_method(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A method that is missing, or takes other parameters, is named."""
    monkeypatch.setattr(paho.Client, name, None)
    monkeypatch.setattr(paho.Client, "__del__", lambda _: None)  # paho's own closes sockets
    assert private_api_problems(paho.Client) == [f"{name} is missing"]
    monkeypatch.undo()
    monkeypatch.setattr(paho.Client, name, _with_another_parameter(name))
    (problem,) = private_api_problems(paho.Client)
    assert problem.startswith(f"{name} takes (*args: Any, later: object = None, **kwargs: Any) and not (")


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_missing_attribute(name: str) -> None:
    """An attribute that is missing, or of another type, is named."""

    class Lacking(paho.Client):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            delattr(self, name)

        def __del__(self) -> None:
            """Do nothing: paho's own closes sockets."""

    class Different(paho.Client):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            setattr(self, name, [])

        def __del__(self) -> None:
            """Do nothing: paho's own closes sockets."""

    assert private_api_problems(Lacking) == [f"{name} is missing"]
    expected = [] if ATTRIBUTES[name] is object else [f"{name} is of type list"]
    assert private_api_problems(Different) == expected


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("version", ["auto", "3.1.1"])
def test_session_with_different_paho(
    mosquitto: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    version: str,
) -> None:
    """A session receives, acknowledges and publishes without the private interface, and warns once."""
    monkeypatch.setattr(paho.Client, name, _with_another_parameter(name))
    listener, options = RecordingListener(), {"filters": ["in/+"], "durable": True, "version": version}
    with connect_client(mosquitto.port, "out") as other:
        with session(mosquitto.port, listener, **options) as own:
            wait_until_ready(own)
            other.publish("in/a", b"hello")
            wait_until(lambda: listener.messages, "the message arrives")
            own.acknowledge([listener.messages[0][2]])
            message_id = own.publish("out", b"answer")
            wait_until(lambda: message_id in own.take_delivered(), "the broker confirms")
            wait_until(lambda: other.texts("out") == ["answer"], "the message is published")
        listener.messages.clear()
        with session(mosquitto.port, listener, **options) as own:
            wait_until_ready(own)
            other.publish("in/a", b"next")
            wait_until(lambda: listener.messages, "the next message arrives")
            assert [payload for _, payload, _ in listener.messages] == [b"next"], "the first was acknowledged"
    (warning,) = [text for text in caplog.messages if WARNING in text]
    assert warning.startswith(f"paho-mqtt {paho_version} differs from 2.1 and 2.2 inside: {name} takes")


@pytest.mark.parametrize("name", ["_mid_generate", "_packet_queue", "_out_messages", "_sockpairW"])
def test_monitor_with_renamed_private_name(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, name: str
) -> None:
    """A monitor on a later paho that renamed a private name judges, publishes and warns once."""
    package = Path(paho.__file__).parent
    shutil.copytree(package, tmp_path / "paho" / "mqtt", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "paho" / "__init__.py").touch()
    client_file, version_file = (tmp_path / "paho" / "mqtt" / file for file in ("client.py", "__init__.py"))
    client_file.write_text(client_file.read_text().replace(name, f"{name}_renamed"))
    version_file.write_text(version_file.read_text().replace(paho_version, "2.9.0"))
    search_path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    try:
        monitor.start(environment={**os.environ, "PYTHONPATH": search_path})
        wait_until(lambda: monitor.get("/readyz")[0] == 200, "the monitor is ready")
        with connect_client(mosquitto.port, "sensor-monitor/#") as other:
            for number, values in enumerate([HEALTHY, HEALTHY, HEALTHY, FAULTY]):
                other.publish(TOPIC, reading(1000 + 5 * number, values))
            wait_until(lambda: other.payloads("sensor-monitor/alerts/"), "the alert is published")
            assert [event["status"] for event in other.payloads("sensor-monitor/alerts/")] == ["firing"]
        wait_until(lambda: monitor.outcomes() == {"filling": 2, "judged": 2}, "all readings are counted")
        assert monitor.terminate() == 0
    finally:
        monitor.kill()
    (line,) = [line for line in monitor.log().splitlines() if WARNING in line]
    assert f"WARNING paho-mqtt 2.9.0 differs from 2.1 and 2.2 inside: {name} is missing." in line
