import base64
import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.config.loading import load_settings
from monitor.config.mqtt_settings import TlsSettings
from monitor.core.errors import ConfigurationError
from tests.conftest import BrokerFactory, Mosquitto, free_port, is_listening, wait_until
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.support.certificates import create_ca, create_certificate, run_openssl
from tests.support.processes import Monitor

CERTIFICATE_HINT = "does the broker want a client certificate?"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two CAs, and certificates of a broker and a client that the first one signed."""
    folder = tmp_path_factory.mktemp("keys")
    for ca in ("plant", "stranger"):
        create_ca(folder, ca)
    for name in ("broker", "client"):
        create_certificate(folder, "plant", name)
    return folder


@contextmanager
def tls_broker(tmp_path: Path, certificates: Path, *lines: str) -> Iterator[Mosquitto]:
    """Run a broker that accepts TLS only."""
    files = (
        f"cafile {certificates}/plant.pem",
        f"certfile {certificates}/broker.pem",
        f"keyfile {certificates}/broker.key",
    )
    broker = Mosquitto(tmp_path, "allow_anonymous true", *files, *lines)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.mark.parametrize("version", ["auto", "5", "3.1.1"])
def test_right_ca(tmp_path: Path, certificates: Path, version: str) -> None:
    """A broker whose certificate the CA signed is trusted."""
    tls = TlsSettings(ca_file=certificates / "plant.pem")
    with (
        tls_broker(tmp_path, certificates) as broker,
        session(broker.port, RecordingListener(), filters=["in/+"], tls=tls, version=version) as own,
    ):
        wait_until_ready(own)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"ca_file": "stranger.pem"}, "certificate verify failed"),
        ({"enabled": True}, "certificate verify failed"),
    ],
)
def test_wrong_ca(tmp_path: Path, certificates: Path, settings: dict[str, Any], reason: str) -> None:
    """A broker whose certificate was signed by another CA, or by none that the system trusts, is refused."""
    if "ca_file" in settings:
        settings = {"ca_file": certificates / settings["ca_file"]}
    with (
        tls_broker(tmp_path, certificates) as broker,
        session(broker.port, RecordingListener(), tls=TlsSettings(**settings)) as own,
    ):
        wait_until(lambda: reason in own.problem, "it is refused")
        assert not own.ready


def test_wrong_name(tmp_path: Path, certificates: Path) -> None:
    """A broker with another host's certificate is refused."""
    tls = TlsSettings(ca_file=certificates / "plant.pem")
    with (
        tls_broker(tmp_path, certificates) as broker,
        session(broker.port, RecordingListener(), tls=tls, host="localhost") as own,
    ):
        wait_until(lambda: "Hostname mismatch" in own.problem, "it is refused")


def test_monitor_reports_wrong_certificate(tmp_path: Path, certificates: Path, toy_bundle: Path) -> None:
    """A wrong certificate is one line on /readyz; with `insecure` it is accepted, and the log warns."""
    with tls_broker(tmp_path, certificates) as broker:
        tls = f'tls.ca_file = "{certificates / "stranger.pem"}"'
        monitor = Monitor(tmp_path, toy_bundle, broker.port, mqtt_toml=tls)
        try:
            monitor.start()
            wait_until(
                lambda: "certificate verify failed" in monitor.get("/readyz")[1], "it gives the reason"
            )
            status, page = monitor.get("/readyz")
            assert (status, page.count("\n")) == (503, 1)
            assert f"no connection to 127.0.0.1:{broker.port}" in page
            assert "insecure" not in monitor.log()
        finally:
            monitor.kill()
        monitor = Monitor(tmp_path, toy_bundle, broker.port, mqtt_toml=f"{tls}\ntls.insecure = true")
        try:
            monitor.start_ready()
            monitor.wait_for_log("insecure")
            lines = [line for line in monitor.log().splitlines() if "insecure" in line]
            for line in lines:  # one for each connection: readings, and alerts
                assert "WARNING" in line
                assert f"the certificate of 127.0.0.1:{broker.port} is NOT VERIFIED" in line
        finally:
            monitor.kill()


def test_client_certificate(tmp_path: Path, certificates: Path) -> None:
    """A broker that requires a client certificate accepts ours, and refuses a connection without one."""
    ca_file = certificates / "plant.pem"
    without_certificate = TlsSettings(ca_file=ca_file)
    with_certificate = TlsSettings(
        ca_file=ca_file, certfile=certificates / "client.pem", keyfile=certificates / "client.key"
    )
    with tls_broker(tmp_path, certificates, "require_certificate true") as broker:
        with session(broker.port, RecordingListener(), tls=with_certificate) as own:
            wait_until_ready(own)
        for version in ("auto", "5"):
            with session(broker.port, RecordingListener(), tls=without_certificate, version=version) as own:
                wait_until(lambda own=own: CERTIFICATE_HINT in own.problem, "it is refused")


def test_key_with_a_password(certificates: Path) -> None:
    """An encrypted key is refused: OpenSSL would wait for its password on the terminal."""
    run_openssl(
        certificates, "ec", "-aes256", "-passout", "pass:geheim", "-in", "client.key", "-out", "locked.key"
    )
    tls = TlsSettings(certfile=certificates / "client.pem", keyfile=certificates / "locked.key")
    with (
        pytest.raises(ConfigurationError, match=r"mqtt\.tls: a certificate or key can't be used"),
        session(1, RecordingListener(), tls=tls),
    ):
        pass


@pytest.mark.parametrize("version", ["auto", "5", "3.1.1"])
def test_websockets(new_broker: BrokerFactory, version: str) -> None:
    """Messages are sent and received over websockets in each protocol version."""
    port = free_port()
    lines = (f"listener {port} 127.0.0.1", "protocol websockets", "allow_anonymous true")
    broker = new_broker("allow_anonymous true", *lines)
    broker.start()
    wait_until(lambda: is_listening(port), "mosquitto listens for websockets")
    listener = RecordingListener()
    options: dict[str, Any] = {"filters": ["in/+"], "transport": "websockets", "version": version}
    with session(port, listener, **options) as own:
        wait_until_ready(own)
        own.publish("in/a", b"hello")
        wait_until(lambda: listener.messages, "the message arrives")
        assert listener.messages[0][:2] == ("in/a", b"hello")


def test_path_of_websockets() -> None:
    """The request for the websocket has the path of the settings."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with session(port, RecordingListener(), transport="websockets", path="/plant/mqtt", version="5"):
            connection = listener.accept()[0]
            with connection:
                request = connection.recv(1024)
                key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
                digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324
                connection.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                    + base64.b64encode(digest)
                    + b"\r\n\r\n"
                )
                assert connection.recv(1024)  # wait for the CONNECT packet, so that no socket stays half open
    assert request.startswith(b"GET /plant/mqtt HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("tls.insecure = true", "mqtt.tls: insecure needs enabled = true"),
        ('tls.insecure = "yes"', "mqtt.tls.insecure must be a valid boolean, not 'yes'"),
        ('path = "mqtt"', "mqtt.path must begin with a slash and hold no spaces, not 'mqtt'"),
        ('transport = "udp"', "mqtt.transport must be 'tcp' or 'websockets', not 'udp'"),
    ],
)
def test_invalid_settings(tmp_path: Path, content: str, reason: str) -> None:
    """An invalid setting is refused with its key, the rule and the value."""
    file = tmp_path / "monitor.toml"
    file.write_text(f"[mqtt]\n{content}")
    with pytest.raises(ConfigurationError, match=re.escape(f"{file}: {reason}")):
        load_settings(file)
