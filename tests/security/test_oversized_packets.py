"""A broker, or somebody behind it, sends packets that are larger than the monitor takes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.chaos.memory import peak_mb
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.monitor.mqtt.recording_listener import RecordingListener, session
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY

CONNACK = b"\x20\x03\x00\x00\x00"
LARGEST_PUBLISH = b"\x30\xff\xff\xff\x7f"  # a packet of 268,435,460 bytes begins
CHUNK = bytes(1 << 16)
MEGABYTE = 1 << 20


@contextmanager
def flooding_broker() -> Iterator[tuple[int, list[int]]]:
    """Run a broker that ignores the announced maximum; yield its port, and the bytes sent by connection."""
    sent: list[int] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(TIMEOUT_S)
                    connection.recv(1024)
                    sent.append(0)
                    connection.sendall(CONNACK + LARGEST_PUBLISH)
                    while sent[-1] < 200 * MEGABYTE:
                        connection.sendall(CHUNK)
                        sent[-1] += len(CHUNK)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], sent
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("bulk", [True, False])
def test_broker_that_ignores_the_maximum(*, bulk: bool) -> None:
    """It is hung up on before more of its packet is read than the sockets hold, and the log says why."""
    listener = RecordingListener()
    with flooding_broker() as (port, sent), session(port, listener, version="5", bulk=bulk):
        wait_until(lambda: listener.problems, "the connection is closed")
        assert "was closed: the broker sent a packet of 2684354" in listener.problems[0]
        assert "bytes; expected at most 4194304" in listener.problems[0]
        wait_until(lambda: len(sent) > 1, "it connects again")
    assert sent[0] < 32 * MEGABYTE
    assert not listener.messages


def test_large_messages_with_mqtt_3(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """MQTT 3.1.1 can't announce a maximum: the monitor keeps 4 MiB of a message, and acknowledges it."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, mqtt_toml='version = "3.1.1"')
    with run_monitor(monitor), connect_client(mosquitto.port) as plant:
        assert monitor.process is not None
        calm = peak_mb(monitor.process.pid)
        plant.publish("plant/line1/station7/reading", bytes(100 * MEGABYTE))
        plant.publish(
            "plant/line1/station7/reading", [reading(1000 + 5 * number, FAULTY) for number in range(3)]
        )
        monitor.wait_for_metric(1, "readings_total", outcome="judged")
        monitor.wait_for_metric(1, "readings_total", outcome="malformed")
        monitor.wait_for_metric(0, "mqtt_reconnects_total")
        assert peak_mb(monitor.process.pid) < calm + 50
