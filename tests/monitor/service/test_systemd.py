import os
import signal
import socket
import time
from pathlib import Path

from monitor.service.systemd import Systemd
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.support.processes import Monitor


def _bind_socket(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.settimeout(TIMEOUT_S)
    return listener


def _monotonic_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_life_of_a_service(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """The service manager is notified of start, watchdog, reload and stop, in this order."""
    with _bind_socket(str(tmp_path / "notify")) as listener:
        monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        try:
            monitor.start(environment=os.environ | environment)
            # The pipeline may feed the watchdog before the last part has started.
            messages = [listener.recv(999)]
            while messages[-1] == b"WATCHDOG=1":
                messages.append(listener.recv(999))
            assert messages[-1] == b"READY=1"
            assert [listener.recv(999) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            assert monitor.process is not None
            before = _monotonic_us()
            monitor.process.send_signal(signal.SIGHUP)
            messages = [listener.recv(999)]
            while messages[-1] != b"READY=1":
                messages.append(listener.recv(999))
            begun = [text for text in messages if text.startswith(b"RELOADING=1\nMONOTONIC_USEC=")]
            assert len(begun) == 1
            # By this time systemd tells a reload that began after its signal from an earlier one.
            assert before <= int(begun[0].split(b"=")[-1]) <= _monotonic_us()
            wait_until(lambda: "reloaded: bundle" in monitor.log(), "the log says so")
            assert monitor.terminate() == 0
            while messages[-1] != b"STOPPING=1":
                messages.append(listener.recv(999))
        finally:
            monitor.kill()


def test_abstract_socket() -> None:
    """An abstract socket, whose name begins with @, works as well."""
    name = f"sensor-monitor-test-{os.getpid()}"
    with _bind_socket(f"\0{name}") as listener:
        systemd = Systemd({"NOTIFY_SOCKET": f"@{name}"})
        systemd.notify_stopping()
        assert listener.recv(99) == b"STOPPING=1"
        systemd.close()


def test_watchdog_is_fed_as_often_as_it_needs() -> None:
    """Iterations in quick succession don't each send a message."""
    clock = [0.0]
    name = f"sensor-monitor-watchdog-{os.getpid()}"
    with _bind_socket(f"\0{name}") as listener:
        systemd = Systemd({"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "2000000"}, lambda: clock[0])
        for now in (10.0, 10.1, 10.9, 11.0, 11.5, 12.1):
            clock[0] = now
            systemd.feed_watchdog()
        systemd.notify_stopping()
        messages = []
        while b"STOPPING=1" not in messages:
            messages.append(listener.recv(99))
        assert messages.count(b"WATCHDOG=1") == 3
        systemd.close()


def test_no_service_manager() -> None:
    """Without a service manager nothing is sent."""
    systemd = Systemd({})
    systemd.notify_ready()
    systemd.feed_watchdog()
    systemd.notify_stopping()
    systemd.close()
