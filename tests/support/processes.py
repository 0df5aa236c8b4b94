"""The monitor as a process, a client that listens, and a proxy that can cut a connection."""

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

from tests.conftest import PATIENCE, wait_until


class Monitor:
    """A `sensor-monitor run` that really runs."""

    def __init__(
        self,
        folder: Path,
        bundle: Path,
        broker_port: int,
        extra: str = "",
        mqtt: str = "",
        command: tuple[str, ...] = (sys.executable, "-m", "monitor"),
        store: Path | None = None,
    ) -> None:
        self._command = command
        self._config = folder / "monitor.toml"
        self._log = folder / "monitor.log"
        self._bundle = bundle
        self._port = broker_port
        self._mqtt = mqtt
        self._store = store or folder / "state.db"
        self.configure(extra)
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def configure(self, extra: str = "", port: int | None = None) -> None:
        """Write the settings: these, and what each monitor in a test needs."""
        self._config.write_text(
            f'bundle = "{self._bundle}"\n'
            f'[mqtt]\nport = {port or self._port}\nclient_id = "monitor-under-test"\n{self._mqtt}\n'
            f'[store]\npath = "{self._store}"\n'
            f"[http]\nport = 0\n{extra}\n"
        )

    def start(self, *, expect_end: bool = False, environment: Mapping[str, str] | None = None) -> None:
        """Start, and wait until it says where it answers, or ends where that is what is expected."""
        self._log.unlink(missing_ok=True)
        command = [*self._command, "run", "--config", self._config]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, env=environment)
        wait_until(lambda: "answering on" in self.log() or self.ended(), "the monitor answers")
        assert self.ended() == expect_end, self.log()
        if expect_end:
            return
        self.address = self.log().split("answering on ")[1].split()[0]

    def start_ready(self) -> None:
        """Start, and wait until it is connected and subscribed."""
        self.start()
        wait_until(lambda: self.get("/readyz")[0] == 200, "the monitor is ready")

    def ended(self) -> bool:
        """Say whether the process is over."""
        return self.process is None or self.process.poll() is not None

    def log(self) -> str:
        """Return all it wrote."""
        return self._log.read_text()

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of a page."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=PATIENCE) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value."""
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if sample.name == f"sensor_monitor_{name}" and sample.labels == labels:
                    return sample.value
        return float("nan")

    def outcomes(self) -> dict[str, int]:
        """Return how many readings had each outcome, without those that none had."""
        found = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if sample.name == "sensor_monitor_readings_total" and sample.value:
                    found[sample.labels["outcome"]] = int(sample.value)
        return found

    def terminate(self) -> int:
        """Send SIGTERM; return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)


@contextmanager
def running(monitor: Monitor) -> Iterator[Monitor]:
    """Start a monitor and see that it doesn't outlive the test."""
    try:
        monitor.start_ready()
        yield monitor
    finally:
        monitor.kill()


class Client:
    """A subscriber and publisher that stands for everybody else on the broker."""

    def __init__(self, port: int, *filters: str, username: str | None = None, password: str = "") -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        """Topic, payload, whether it was retained."""
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
            assert self._subscribed.wait(PATIENCE)

    def publish(self, topic: str, payload: Any, qos: int = 1, *, retain: bool = False) -> None:
        """Publish, and wait until the broker has it."""
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._client.publish(topic, content, qos=qos, retain=retain).wait_for_publish(PATIENCE)

    def payloads(self, prefix: str) -> list[Any]:
        """Return what came on topics that begin so, decoded."""
        return [json.loads(payload) for topic, payload, _ in self.messages if topic.startswith(prefix)]

    def texts(self, topic: str) -> list[str]:
        """Return what came on a topic as text."""
        return [payload.decode() for found, payload, _ in self.messages if found == topic]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def client(port: int, *filters: str, **login: str) -> Iterator[Client]:
    """Connect a client for the time of a test."""
    connected = Client(port, *filters, **login)
    try:
        yield connected
    finally:
        connected.close()


@contextmanager
def mute_broker() -> Iterator[tuple[int, threading.Event]]:
    """Take one connection and never answer; yield the port, and what is set once something was asked."""
    asked = threading.Event()

    def listen() -> None:
        with suppress(OSError):
            near, _ = listener.accept()
            with near:
                near.recv(1)
                asked.set()
                ended.wait(PATIENCE)

    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield listener.getsockname()[1], asked
        finally:
            ended.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # where nobody came
            thread.join()


class Proxy:
    """Stands between a client and a broker, and cuts, stalls or drops what goes through on demand."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.keeps = False
        """Whether `told` is kept, for connections from now on."""
        self.told: list[bytearray] = []
        """All bytes that the target sent, by connection."""
        self._untold: set[socket.socket] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:  # no broker: a client behind us sees what it would see without us
                    near.close()
                    continue
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pairs.append((near, far))
                if self.keeps:
                    self.told.append(bytearray())
                for source, sink, kept in (
                    (near, far, None),
                    (far, near, self.told[-1] if self.keeps else None),
                ):
                    threading.Thread(target=self._pump, args=(source, sink, kept), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
        """Hand on all that one side says, to its last byte, also where the other side is gone."""
        with suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                if kept is not None:
                    kept += data
                with suppress(OSError):
                    sink.sendall(data)
        if sink not in self._untold:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Break every connection; new ones go through."""
        for open_ in (end for pair in self._pairs for end in pair):
            with suppress(OSError):
                open_.shutdown(socket.SHUT_RDWR)
            open_.close()
        self._pairs.clear()

    def stall(self) -> None:
        """Hand on nothing more, on new connections neither, until `flow`; nobody is told."""
        self._flowing.clear()

    def flow(self) -> None:
        """Hand on again, beginning with what was held back."""
        self._flowing.set()

    def half_open(self) -> None:
        """Drop the broker's side of every connection; the client isn't told and speaks to nobody."""
        for near, far in self._pairs:
            self._untold.add(near)
            with suppress(OSError):
                far.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break every connection and take no more."""
        self._listener.close()
        self._flowing.set()
        self.cut()
