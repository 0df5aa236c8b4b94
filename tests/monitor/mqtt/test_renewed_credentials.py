"""Files with secrets that are renewed, unreadable or out of date while the monitor runs."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.config.mqtt_settings import TlsSettings
from monitor.core.errors import ConfigurationError
from monitor.mqtt.certificate_dates import date_problem
from tests.conftest import Mosquitto, skip_or_fail, wait_until
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.support.certificates import EXPIRED, NOT_YET_VALID, create_ca, create_certificate
from tests.support.processes import Proxy

VERSIONS = ["5", "3.1.1"]


def write_password(folder: Path, password: str) -> None:
    """Write the password into the monitor's file and into the broker's."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        skip_or_fail("mosquitto", "mosquitto_passwd is not installed")
    subprocess.run([str(program), "-c", "-b", folder / "passwords", "monitor", password], check=True)
    (folder / "password").write_text(f"{password}\n")


@pytest.fixture(scope="module")
def new_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA of brokers and one of clients, and a certificate of each."""
    folder = tmp_path_factory.mktemp("certificates")
    for ca, name in (("brokers", "broker"), ("clients", "client")):
        create_ca(folder, ca)
        create_certificate(folder, ca, name)
    return folder


@pytest.fixture
def folder(tmp_path: Path, new_certificates: Path) -> Path:
    """A folder with these certificates and a password, which a test may replace."""
    copied = tmp_path / "secrets"
    shutil.copytree(new_certificates, copied)
    write_password(copied, "first")
    return copied


@contextmanager
def broker_of(folder: Path) -> Iterator[Mosquitto]:
    """Run a broker that wants a login and a certificate of the client's CA."""
    broker = Mosquitto(
        folder,
        "allow_anonymous false",
        f"password_file {folder}/passwords",
        f"cafile {folder}/clients.pem",
        f"certfile {folder}/broker.pem",
        f"keyfile {folder}/broker.key",
        "require_certificate true",
    )
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def options_of(folder: Path, version: str) -> dict[str, Any]:
    """Return the settings with which a session connects to this broker."""
    tls = TlsSettings(
        ca_file=folder / "brokers.pem", certfile=folder / "client.pem", keyfile=folder / "client.key"
    )
    login = {"username": "monitor", "password_file": folder / "password"}
    return {"filters": ["in/+"], "tls": tls, "version": version, **login}


def renew_password(folder: Path) -> None:
    """Give the login another password."""
    write_password(folder, "second")


def renew_ca(folder: Path) -> None:
    """Replace the CA of brokers, and the broker's certificate."""
    create_ca(folder, "brokers")
    create_certificate(folder, "brokers", "broker")


def renew_certificate_and_key(folder: Path) -> None:
    """Replace the CA of clients, and the client's certificate with its key."""
    create_ca(folder, "clients")
    create_certificate(folder, "clients", "client")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("renew", [renew_password, renew_ca, renew_certificate_and_key])
def test_renewed_secrets_are_used(folder: Path, version: str, renew: Callable[[Path], None]) -> None:
    """A secret that was renewed at both ends is used from the next connection on."""
    with (
        broker_of(folder) as broker,
        session(broker.port, RecordingListener(), **options_of(folder, version)) as own,
    ):
        wait_until_ready(own)
        broker.stop()
        wait_until(lambda: not own.ready, "the end of the connection is noticed")
        renew(folder)
        broker.start()
        wait_until_ready(own)


@pytest.mark.parametrize(
    ("file", "setting"),
    [
        ("password", "mqtt.password_file: "),
        ("brokers.pem", "mqtt.tls.ca_file: "),
        ("client.pem", "mqtt.tls.certfile: "),
        ("client.key", "mqtt.tls.keyfile: "),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_unreadable_at_a_reconnect(folder: Path, file: str, setting: str, version: str) -> None:
    """A file that is missing at a reconnect is reported with its setting, and read once it is back."""
    with broker_of(folder) as broker:
        proxy = Proxy(broker.port)
        with session(proxy.port, RecordingListener(), **options_of(folder, version)) as own:
            wait_until_ready(own)
            content = (folder / file).read_bytes()
            (folder / file).unlink()
            proxy.disconnect_all()
            wait_until(lambda: setting in own.problem, "the file is reported")
            assert str(folder / file) in own.problem
            assert not own.ready
            (folder / file).write_bytes(content)
            wait_until_ready(own)
        proxy.close()


@pytest.mark.parametrize("damage", ["no certificate", ""])
def test_damaged_at_a_reconnect(folder: Path, damage: str) -> None:
    """A file that is written just now, and is no certificate yet, is reported and read again."""
    with broker_of(folder) as broker:
        proxy = Proxy(broker.port)
        with session(proxy.port, RecordingListener(), **options_of(folder, "auto")) as own:
            wait_until_ready(own)
            content = (folder / "client.pem").read_bytes()
            (folder / "client.pem").write_text(damage)
            proxy.disconnect_all()
            wait_until(lambda: "a certificate or key can't be used" in own.problem, "it is reported")
            (folder / "client.pem").write_bytes(content)
            wait_until_ready(own)
        proxy.close()


def test_unreadable_at_the_start(folder: Path) -> None:
    """At the start a file that can't be used is an error before any connection."""
    (folder / "password").unlink()
    with (
        pytest.raises(ConfigurationError, match=r"mqtt\.password_file: .* can't be read"),
        session(1, RecordingListener(), **options_of(folder, "auto")),
    ):
        pass


@pytest.mark.parametrize("version", ["auto", *VERSIONS])
@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (EXPIRED, "expired on 2021-01-01T00:00:00.000Z"),
        (NOT_YET_VALID, "is not valid before 2060-01-01T00:00:00.000Z"),
    ],
)
def test_own_certificate_out_of_date(
    folder: Path, dates: tuple[str, str], expected: str, version: str
) -> None:
    """The client's certificate that the broker refuses because of its dates is named with the date."""
    create_certificate(folder, "clients", "client", dates)
    with (
        broker_of(folder) as broker,
        session(broker.port, RecordingListener(), **options_of(folder, version)) as own,
    ):
        wait_until(lambda: expected in own.problem, "the date is reported")
        assert f"mqtt.tls.certfile {folder / 'client.pem'} {expected}" in own.problem
        assert "client id" not in own.problem


@pytest.mark.parametrize("version", ["auto", *VERSIONS])
@pytest.mark.parametrize(
    ("dates", "expected"),
    [(EXPIRED, "certificate has expired"), (NOT_YET_VALID, "certificate is not yet valid")],
)
def test_broker_certificate_out_of_date(
    folder: Path, dates: tuple[str, str], expected: str, version: str
) -> None:
    """A broker's certificate that has expired, or isn't valid yet, is named as such."""
    create_certificate(folder, "brokers", "broker", dates)
    with (
        broker_of(folder) as broker,
        session(broker.port, RecordingListener(), **options_of(folder, version)) as own,
    ):
        wait_until(lambda: expected in own.problem, "the reason is reported")
        assert "the broker's certificate is not valid now, by this machine's clock" in own.problem


@pytest.mark.parametrize(
    ("dates", "expected"), [(None, ""), (EXPIRED, "expired on 2021-01-01T00:00:00.000Z")]
)
def test_dates_of_a_file(folder: Path, dates: tuple[str, str] | None, expected: str) -> None:
    """Each certificate of a file is looked at: the client's, and those of the CAs above it."""
    create_certificate(folder, "clients", "second", dates)
    chain = folder / "chain.pem"
    chain.write_bytes((folder / "client.pem").read_bytes() + (folder / "second.pem").read_bytes())
    now = (folder / "second.pem").stat().st_mtime
    assert date_problem(chain, now) == (f"{chain} {expected}" if expected else "")


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"]
)
def test_dates_of_an_unreadable_file(tmp_path: Path, content: bytes) -> None:
    """Nothing is said of the dates of what is no certificate."""
    (tmp_path / "file").write_bytes(content)
    assert date_problem(tmp_path / "file", 0.0) == ""
    assert date_problem(tmp_path / "missing", 0.0) == ""
