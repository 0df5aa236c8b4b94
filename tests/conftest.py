"""Fixtures and helpers of all tests: real brokers on free ports, and a bundle that takes no training."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.toy_bundle import save_toy_bundle

for variable in [name for name in os.environ if name.startswith(("MONITOR_", "TRAINING_"))]:
    del os.environ[variable]  # settings for somebody's real plant must not reach the tests

ROOT = Path(__file__).parent.parent
"""The folder of the checkout."""
TIMEOUT_S = 60.0
"""Seconds until a test gives up waiting: generous, because only a failing test waits that long."""
WITHOUT_TENSORFLOW = "TensorFlow isn't installed, and this trains a model"
FIXTURES_THAT_TRAIN = {"bundle_folder", "training_output"}
"""Tests that use one of them need TensorFlow, as those with the marker `tensorflow` do."""


def is_required(name: str) -> bool:
    """Return whether SENSOR_MONITOR_REQUIRE names it: then tests fail without it and aren't skipped."""
    return name in os.environ.get("SENSOR_MONITOR_REQUIRE", "").split(",")


def skip_or_fail(name: str, reason: str) -> None:
    """Skip the test because something is missing, or fail it if SENSOR_MONITOR_REQUIRE names it."""
    __tracebackhide__ = True
    if is_required(name):
        pytest.fail(f"{name} is required: {reason}")
    pytest.skip(reason, allow_module_level=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what trains where TensorFlow isn't installed; where it is required, let it run and fail."""
    if find_spec("tensorflow") or is_required("tensorflow"):
        return
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("tensorflow") or FIXTURES_THAT_TRAIN & fixtures:
            item.add_marker(pytest.mark.skip(WITHOUT_TENSORFLOW))


def wait_until(condition: Callable[[], object], description: str) -> None:
    """Wait until a condition is true, checking it every 10 ms; fail the test after `TIMEOUT_S`.

    Parameters
    ----------
    description : the condition in words, for the failure.
    """
    deadline = time.monotonic() + TIMEOUT_S
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {TIMEOUT_S:.0f} s: {description}")
        pause.wait(0.01)


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Return whether something listens on a port of the loopback interface."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Mosquitto:
    """A real broker that a test starts and stops.

    Parameters
    ----------
    folder : for its configuration and log.
    config_lines : lines of mosquitto.conf beside the listener; default: any client may connect.
    """

    def __init__(self, folder: Path, *config_lines: str) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            skip_or_fail("mosquitto", "mosquitto is not installed")
        self._program = str(program)
        self.folder = folder
        self.port = free_port()
        self._config_file = folder / "mosquitto.conf"
        common = [
            f"listener {self.port} 127.0.0.1",
            "max_queued_messages 100000",
            "set_tcp_nodelay true",
            "user root",
        ]
        self._config_file.write_text("\n".join([*common, *(config_lines or ["allow_anonymous true"])]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self._config_file.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", self._config_file], stdout=log, stderr=log)
        wait_until(lambda: is_listening(self.port), "mosquitto listens")

    def stop(self) -> None:
        """Stop it with SIGTERM, as an administrator would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(TIMEOUT_S)


BrokerFactory = Callable[..., Mosquitto]
"""Returns a broker, not started yet, with these lines of configuration; default: any client may connect."""


@pytest.fixture
def new_broker(tmp_path: Path) -> Iterator[BrokerFactory]:
    """A function that returns brokers for the test to start; they are stopped after it."""
    built: list[Mosquitto] = []

    def build(*lines: str) -> Mosquitto:
        built.append(Mosquitto(tmp_path, *lines))
        return built[-1]

    yield build
    for broker in built:
        broker.stop()


@pytest.fixture
def mosquitto(new_broker: BrokerFactory) -> Mosquitto:
    """A running broker to which any client may connect."""
    broker = new_broker()
    broker.start()
    return broker


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A verified bundle: Faulty is a window with a reading whose temperatures differ by more than 5 degC."""
    folder = tmp_path_factory.mktemp("toy") / "bundle"
    save_toy_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def lwsndr() -> Path:
    """The folder with the real recordings."""
    folder = os.environ.get("SENSOR_MONITOR_RECORDINGS")
    if not folder or not (Path(folder) / "lwsndr").is_dir():
        skip_or_fail("recordings", "SENSOR_MONITOR_RECORDINGS names no folder with lwsndr/ in it")
    return Path(str(folder)) / "lwsndr"
