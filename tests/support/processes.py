"""The monitor as a process, an MQTT client, and a proxy that can break connections."""

import json
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import TIMEOUT_S, wait_until


class Monitor:
    """A `sensor-monitor run` as a real process.

    Parameters
    ----------
    folder : for its settings file, its log and, unless `store_path` is given, its store.
    extra_toml, mqtt_toml : further settings; those of `[mqtt]` apart, since that table is written already.
    command : the program that is run.
    config_file : a settings file that is taken as it is; None: one is written.
    """

    def __init__(
        self,
        folder: Path,
        bundle: Path,
        broker_port: int,
        extra_toml: str = "",
        mqtt_toml: str = "",
        command: tuple[str, ...] = (sys.executable, "-m", "monitor"),
        store_path: Path | None = None,
        config_file: Path | None = None,
    ) -> None:
        self._command = command
        self._config_file = config_file or folder / "monitor.toml"
        self._log_file = folder / "monitor.log"
        self._bundle = bundle
        self._broker_port = broker_port
        self.mqtt_toml = mqtt_toml
        """Further settings of `[mqtt]`, written by `configure`."""
        self._store_path = store_path or folder / "state.db"
        if config_file is None:
            self.configure(extra_toml)
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def configure(self, extra_toml: str = "", port: int | None = None, http_port: int = 0) -> None:
        """Write the settings file: `extra_toml`, and what each monitor in a test needs.

        Parameters
        ----------
        port : of another broker.
        http_port : 0: any free port.
        """
        self._config_file.write_text(
            f'bundle = "{self._bundle}"\n'
            f'[mqtt]\nport = {port or self._broker_port}\nclient_id = "monitor-under-test"\n'
            f"{self.mqtt_toml}\n"
            f'[store]\npath = "{self._store_path}"\n'
            f"[http]\nport = {http_port}\n{extra_toml}\n"
        )

    def start(self, *, expect_exit: bool = False, environment: Mapping[str, str] | None = None) -> None:
        """Start, and wait until the log has its HTTP address, or until it exits.

        Parameters
        ----------
        expect_exit : whether it must exit by itself.
        environment : of the process; None: that of the tests.
        """
        self._log_file.unlink(missing_ok=True)
        command = [*self._command, "run", "--config", self._config_file]
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, env=environment)
        wait_until(lambda: "answering on" in self.log() or self.has_exited(), "the monitor answers HTTP")
        assert self.has_exited() == expect_exit, self.log()
        if expect_exit:
            return
        self.address = self.log().split("answering on ")[1].split()[0]

    def start_unread(self, log_descriptor: int, http_port: int, extra_toml: str = "") -> None:
        """Start with its log on a descriptor that is none of a file, and don't wait for anything."""
        self.configure(extra_toml, http_port=http_port)
        command = [*self._command, "run", "--config", self._config_file]
        self.process = subprocess.Popen(command, stderr=log_descriptor)
        self.address = f"http://127.0.0.1:{http_port}"

    def start_ready(self, environment: Mapping[str, str] | None = None) -> None:
        """Start, and wait until it is connected and subscribed; `environment` as in `start`."""
        self.start(environment=environment)
        wait_until(lambda: self.get("/readyz")[0] == 200, "the monitor is ready")

    def has_exited(self) -> bool:
        """Return whether the process has exited or was never started."""
        return self.process is None or self.process.poll() is not None

    def log(self) -> str:
        """Return its log, all of it."""
        return self._log_file.read_text()

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of an HTTP response."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_for_log(self, text: str) -> None:
        """Wait until its log has a text: a thread of its own writes the log, later than what it tells of."""
        wait_until(lambda: text in self.log(), f"the log has {text!r}")

    def wait_for_metric(self, expected: float, name: str, **labels: str) -> None:
        """Wait until a metric has a value: alerts, states and answers leave before they are counted."""
        wait_until(lambda: self.metric(name, **labels) == expected, f"{name} {labels} is {expected:g}")

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric with exactly these labels; NaN if there is none."""
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if sample.name == f"sensor_monitor_{name}" and sample.labels == labels:
                    return sample.value
        return float("nan")

    def outcomes(self) -> dict[str, int]:
        """Return the count of readings by outcome, without zeros."""
        return self._count_by_outcome("readings_total")

    def value_outcomes(self) -> dict[str, int]:
        """Return the count of values by outcome, without zeros."""
        return self._count_by_outcome("values_total")

    def _count_by_outcome(self, name: str) -> dict[str, int]:
        found = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if sample.name == f"sensor_monitor_{name}" and sample.value:
                    found[sample.labels["outcome"]] = int(sample.value)
        return found

    def terminate(self) -> int:
        """Send SIGTERM; return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(TIMEOUT_S)

    def kill(self) -> None:
        """Kill it with SIGKILL, so that it can't publish or disconnect."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)


@contextmanager
def run_monitor(monitor: Monitor, environment: Mapping[str, str] | None = None) -> Iterator[Monitor]:
    """Start a monitor, wait until it is ready, kill it at the end; `environment` as in `Monitor.start`."""
    try:
        monitor.start_ready(environment)
        yield monitor
    finally:
        monitor.kill()


class Client:
    """An MQTT client that stands for the plant and for the monitor's subscribers.

    Parameters
    ----------
    filters : subscribed to with QoS 1.
    """

    def __init__(self, port: int, *filters: str, username: str | None = None, password: str = "") -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        """Topic, payload, retain flag: the messages received so far."""
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = lambda _, __, m: self.messages.append((m.topic, m.payload, m.retain))
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        if username:
            self._client.username_pw_set(username, password)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if filters:
            self._client.subscribe([(text, 1) for text in filters])
            assert self._subscribed.wait(TIMEOUT_S)

    def publish(
        self, topic: str, payload: Any, qos: int = 1, *, retain: bool = False, properties: Any = None
    ) -> None:
        """Publish, and wait for the PUBACK (QoS 0: until sent); other payloads than bytes become JSON."""
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        message = self._client.publish(topic, content, qos=qos, retain=retain, properties=properties)
        message.wait_for_publish(TIMEOUT_S)

    def payloads(self, prefix: str) -> list[Any]:
        """Return the payloads received on topics with this prefix, decoded as JSON."""
        return [json.loads(payload) for topic, payload, _ in self.messages if topic.startswith(prefix)]

    def texts(self, topic: str) -> list[str]:
        """Return the payloads received on a topic, as text."""
        return [payload.decode() for found, payload, _ in self.messages if found == topic]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def connect_client(port: int, *filters: str, **login: str) -> Iterator[Client]:
    """Connect a client; close it at the end."""
    opened = Client(port, *filters, **login)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def unresponsive_broker() -> Iterator[tuple[int, threading.Event]]:
    """Accept one connection and never answer; yield the port, and an event that is set when data arrives."""
    data_received = threading.Event()

    def listen() -> None:
        with suppress(OSError):
            near, _ = listener.accept()
            with near:
                near.recv(1)
                data_received.set()
                ended.wait(TIMEOUT_S)

    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield listener.getsockname()[1], data_received
        finally:
            ended.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # ends `accept` if no client connected
            thread.join()


class Proxy:
    """Forwards between clients and a broker, and breaks or pauses the connections on demand.

    Parameters
    ----------
    target_port : the broker's.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[tuple[socket.socket, socket.socket]] = []
        self.is_recording = False
        """Whether `recorded_bytes` records the connections accepted from now on."""
        self.recorded_bytes: list[bytearray] = []
        """All bytes that the broker sent, by connection."""
        self._half_open_sockets: set[socket.socket] = set()
        self._forwarding_enabled = threading.Event()
        self._forwarding_enabled.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target_port))
                except OSError:  # no broker: the client must see what it would see without the proxy
                    near.close()
                    continue
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections.append((near, far))
                if self.is_recording:
                    self.recorded_bytes.append(bytearray())
                for source, sink, kept in (
                    (near, far, None),
                    (far, near, self.recorded_bytes[-1] if self.is_recording else None),
                ):
                    threading.Thread(target=self._forward, args=(source, sink, kept), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, recording: bytearray | None) -> None:
        """Forward everything that one side sends, to its last byte, even after the other side has closed."""
        with suppress(OSError):
            while data := source.recv(65536):
                self._forwarding_enabled.wait()
                if recording is not None:
                    recording += data
                with suppress(OSError):
                    sink.sendall(data)
        if sink not in self._half_open_sockets:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def disconnect_all(self) -> None:
        """Break every connection; new ones are accepted."""
        for open_ in (end for pair in self._connections for end in pair):
            with suppress(OSError):
                open_.shutdown(socket.SHUT_RDWR)
            open_.close()
        self._connections.clear()

    def pause(self) -> None:
        """Stop forwarding until `resume`, on new connections too; connections stay open."""
        self._forwarding_enabled.clear()

    def resume(self) -> None:
        """Forward again, beginning with the data held back."""
        self._forwarding_enabled.set()

    def shutdown_broker_side(self) -> None:
        """Close the broker's side of every connection and leave the client's open: what it sends is lost."""
        for near, far in self._connections:
            self._half_open_sockets.add(near)
            with suppress(OSError):
                far.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break every connection and accept no more."""
        self._listener.close()
        self._forwarding_enabled.set()
        self.disconnect_all()
