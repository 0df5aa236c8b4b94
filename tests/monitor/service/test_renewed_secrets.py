import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.conftest import BrokerFactory, Mosquitto, skip_or_fail, wait_until
from tests.monitor.service.test_reload import send_sighup
from tests.support.processes import Monitor, run_monitor

FIRST_TOKEN, SECOND_TOKEN = "first-token-0123456789", "second-token-0123456789"


def set_broker_password(folder: Path, password: str) -> None:
    """Let the broker of a folder take this password of the monitor's, from its next start on."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        skip_or_fail("mosquitto", "mosquitto_passwd is not installed")
    subprocess.run([str(program), "-c", "-b", folder / "passwords", "monitor", password], check=True)


def status_with(monitor: Monitor, token: str) -> int:
    """Return the HTTP status of the metrics with a token."""
    return httpx.get(f"{monitor.address}/metrics", headers={"authorization": f"Bearer {token}"}).status_code


@pytest.mark.parametrize("by_reload", [False, True])
def test_renewed_password(
    tmp_path: Path, new_broker: BrokerFactory, toy_bundle: Path, *, by_reload: bool
) -> None:
    """A password that was renewed in its file brings both connections back; so does one by a reload."""
    set_broker_password(tmp_path, "first")
    password_file = tmp_path / "password"
    password_file.write_text("first")
    broker = new_broker("allow_anonymous false", f"password_file {tmp_path}/passwords")
    broker.start()
    login = f'username = "monitor"\npassword_file = "{password_file}"'
    monitor = Monitor(tmp_path, toy_bundle, broker.port, mqtt_toml=login)
    with run_monitor(monitor):
        broker.stop()
        set_broker_password(tmp_path, "second")
        broker.start()
        wait_until(lambda: "Not authorized" in monitor.get("/readyz")[1], "it is refused")
        assert monitor.get("/readyz")[0] == 503
        if by_reload:
            monitor.mqtt_toml = 'username = "monitor"\npassword = "second"'
            monitor.configure()
            send_sighup(monitor)
            wait_until(lambda: "reloaded: bundle" in monitor.log(), "it is reloaded")
        else:
            password_file.write_text("second\n")
        wait_until(lambda: monitor.get("/readyz")[0] == 200, "both connections are ready")


def test_reload_reads_secrets(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A reload takes over a renewed HTTP token, and is refused while a secret can't be read."""
    password_file, token_file = tmp_path / "password", tmp_path / "token"
    password_file.write_text("geheim")
    token_file.write_text(FIRST_TOKEN)
    monitor = Monitor(
        tmp_path,
        toy_bundle,
        mosquitto.port,
        f'token_file = "{token_file}"',
        mqtt_toml=f'username = "monitor"\npassword_file = "{password_file}"',
    )
    with run_monitor(monitor):
        token_file.write_text(SECOND_TOKEN)
        password_file.unlink()
        send_sighup(monitor)
        wait_until(lambda: "reload refused" in monitor.log(), "it is refused")
        assert f"all stays as it was: mqtt.password_file: {password_file} can't be read" in monitor.log()
        assert [status_with(monitor, token) for token in (FIRST_TOKEN, SECOND_TOKEN)] == [200, 401]
        password_file.write_text("geheim")
        send_sighup(monitor)
        wait_until(lambda: "reloaded: bundle" in monitor.log(), "it is reloaded")
        assert [status_with(monitor, token) for token in (FIRST_TOKEN, SECOND_TOKEN)] == [401, 200]
        token_file.write_text("short")
        send_sighup(monitor)
        wait_until(lambda: f"http.token_file: {token_file}" in monitor.log(), "a bad token is refused")
        assert status_with(monitor, SECOND_TOKEN) == 200
