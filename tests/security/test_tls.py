"""HTTPS by the monitor itself, with a certificate that is renewed."""

import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from monitor.core.errors import ConfigurationError
from monitor.web.certificate import ServerCertificate
from tests.conftest import Mosquitto, free_port, wait_until
from tests.monitor.service.test_reload import send_sighup
from tests.support.certificates import create_ca, create_certificate, run_openssl
from tests.support.processes import Monitor

TOKEN = "a-token-of-a-test-0123"  # noqa: S105


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `first` and `second`, two certificates of one authority."""
    folder = tmp_path_factory.mktemp("certificates")
    create_ca(folder, "ca")
    for name in ("first", "second"):
        create_certificate(folder, "ca", name)
    return folder


def install(certificates: Path, folder: Path, certificate: str, key: str) -> None:
    """Put a certificate and a key where the monitor reads them."""
    shutil.copy(certificates / f"{certificate}.pem", folder / "http.pem")
    shutil.copy(certificates / f"{key}.key", folder / "http.key")


@pytest.fixture
def monitor(certificates: Path, tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor with TLS and a token."""
    install(certificates, tmp_path, "first", "first")
    files = f'certfile = "{tmp_path}/http.pem"\nkeyfile = "{tmp_path}/http.key"'
    running = Monitor(tmp_path, toy_bundle, mosquitto.port, f'{files}\ntoken = "{TOKEN}"')
    try:
        running.start()
        yield running
    finally:
        running.kill()


def subject(monitor: Monitor, context: ssl.SSLContext) -> str:
    """Return the name in the certificate of a new connection, which is verified."""
    with httpx.Client(verify=context) as client:
        stream = client.get(f"{monitor.address}/livez").extensions["network_stream"]
        fields = stream.get_extra_info("ssl_object").getpeercert()["subject"]
        return str(dict(field[0] for field in fields)["commonName"])


def test_renewed_certificate(monitor: Monitor, certificates: Path, tmp_path: Path) -> None:
    """A reload takes a renewed certificate; one without its key is refused, and the former one stays."""
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    assert monitor.address.startswith("https://")
    assert subject(monitor, context) == "first"
    install(certificates, tmp_path, "second", "first")
    send_sighup(monitor)
    monitor.wait_for_log("reload refused")
    assert f"http.certfile: {tmp_path}/http.pem" in monitor.log()
    assert subject(monitor, context) == "first"
    install(certificates, tmp_path, "second", "second")
    send_sighup(monitor)
    monitor.wait_for_log("reloaded: bundle")
    wait_until(lambda: subject(monitor, context) == "second", "it is used")


def test_clients_of_all_kinds(monitor: Monitor, certificates: Path) -> None:
    """Over HTTPS the session's cookie is for HTTPS only; a request without TLS gets nothing."""
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    login = httpx.post(f"{monitor.address}/login", data={"token": TOKEN}, verify=context)
    assert "Secure" in login.headers["set-cookie"]
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{monitor.address.replace('https', 'http')}/livez")
    assert httpx.get(f"{monitor.address}/livez", verify=context).text == "ok\n"
    assert monitor.terminate() == 0
    assert "ERROR" not in monitor.log()


def test_renewal_without_a_reload(
    certificates: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A renewed file is noticed by itself; one that can't be used is said once, and the former stays."""
    install(certificates, tmp_path, "first", "first")
    certificate = ServerCertificate(tmp_path / "http.pem", tmp_path / "http.key")
    first = certificate.context
    certificate.reload_if_renewed()
    assert certificate.context is first
    (tmp_path / "http.pem").write_text("broken")
    for _ in range(3):
        certificate.reload_if_renewed()
    assert certificate.context is first
    (line,) = caplog.messages
    assert "the former one stays" in line
    assert f"{tmp_path}/http.pem" in line
    install(certificates, tmp_path, "second", "second")
    certificate.reload_if_renewed()
    assert certificate.context is not first


@pytest.mark.parametrize("fault", ["no file", "no certificate", "another's key", "encrypted key"])
def test_unusable_files(
    certificates: Path, tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, fault: str
) -> None:
    """A certificate that can't be used ends the start with exit code 2 and the file's name."""
    install(certificates, tmp_path, "first", "second" if fault == "another's key" else "first")
    if fault == "no file":
        (tmp_path / "http.pem").unlink()
    elif fault == "no certificate":
        (tmp_path / "http.pem").write_text("nothing")
    elif fault == "encrypted key":
        key = ("-in", str(certificates / "first.key"), "-out", str(tmp_path / "http.key"))
        run_openssl(tmp_path, "ec", *key, "-aes256", "-passout", "pass:secret")
    with pytest.raises(ConfigurationError, match=re.escape(f"http.certfile: {tmp_path}/http.pem")):
        ServerCertificate(tmp_path / "http.pem", tmp_path / "http.key")
    settings = f'certfile = "{tmp_path}/http.pem"\nkeyfile = "{tmp_path}/http.key"'
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, settings)
    monitor.start(expect_exit=True)
    assert monitor.process is not None
    assert monitor.process.returncode == 2
    (line,) = monitor.log().splitlines()
    assert f"http.certfile: {tmp_path}/http.pem" in line
    command = [sys.executable, "-m", "monitor", "check", "--config", tmp_path / "monitor.toml"]
    check = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (check.returncode, check.stderr) == (2, f"{line}\n")


def test_check_beside_a_running_monitor(
    certificates: Path, tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path
) -> None:
    """`check` sees that it is a monitor with TLS that has the port."""
    install(certificates, tmp_path, "first", "first")
    settings = f'certfile = "{tmp_path}/http.pem"\nkeyfile = "{tmp_path}/http.key"'
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    monitor.configure(settings, http_port=free_port())
    try:
        monitor.start()
        command = [sys.executable, "-m", "monitor", "check", "--config", tmp_path / "monitor.toml"]
        check = subprocess.run(command, capture_output=True, text=True, check=False)
        assert check.returncode == 0, check.stderr
        assert "in use, by a running monitor" in check.stdout
    finally:
        monitor.kill()
