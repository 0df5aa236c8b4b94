"""A real mosquitto with the shipped configuration, its two listeners on free ports."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT, Mosquitto, free_port, skip_or_fail

__all__ = ["ShippedBroker", "configure_shipped_broker", "make_secrets"]

_FOLDER = ROOT / "config" / "mosquitto"


@dataclass(frozen=True)
class ShippedBroker:
    """The broker, and how to log in."""

    broker: Mosquitto
    monitor_port: int
    """Of the listener that takes the monitor's login alone."""
    secrets_folder: Path

    @property
    def port(self) -> int:
        """Port of the listener for all other logins."""
        return self.broker.port

    def login(self, name: str) -> dict[str, str]:
        """Return the keywords with which `connect_client` uses a login."""
        file = self.secrets_folder / name
        return {"username": name, "password": file.read_text().strip() if file.exists() else name}

    def port_of(self, name: str) -> int:
        """Return the port at which a login is admitted."""
        return self.monitor_port if name == "monitor" else self.port

    @property
    def mqtt_toml(self) -> str:
        """Settings of `[mqtt]` of a monitor that logs in."""
        return f'username = "monitor"\npassword_file = "{self.secrets_folder / "monitor"}"'


def make_secrets(folder: Path) -> Path:
    """Run docker/secrets.sh for a folder; return the folder that it fills."""
    if shutil.which("mosquitto_passwd") is None:
        skip_or_fail("mosquitto", "mosquitto_passwd is not installed")
    subprocess.run([shutil.copy(ROOT / "docker" / "secrets.sh", folder)], check=True)
    return folder / "secrets"


def configure_shipped_broker(broker: Mosquitto, secrets_folder: Path, *more_logins: str) -> ShippedBroker:
    """Give a broker, not started yet, the shipped files.

    Parameters
    ----------
    more_logins : logins on the listener for others, whose passwords are their names. `observer` may do all.
    """
    folder = broker.folder
    passwords = (secrets_folder / "broker").read_text()
    for name in more_logins:
        file = folder / "one-password"
        subprocess.run(["mosquitto_passwd", "-c", "-b", file, name, name], check=True, capture_output=True)
        passwords += file.read_text()
    (folder / "passwords").write_text(passwords)
    shutil.copy(secrets_folder / "broker-monitor", folder / "passwords-monitor")
    acl = (_FOLDER / "acl").read_text()
    (folder / "acl").write_text(f"{acl}\nuser observer\ntopic readwrite #\n")
    monitor_port = free_port()
    text = (_FOLDER / "mosquitto.conf").read_text()
    for original, replacement in (
        ("\nlistener 1883 ", f"\nlistener {broker.port} "),
        ("\nlistener 1884 ", f"\nlistener {monitor_port} "),
        ("/etc/mosquitto/", f"{folder}/"),
        ("/var/lib/mosquitto/", f"{folder}/"),
    ):
        assert original in text
        text = text.replace(original, replacement)
    (folder / "mosquitto.conf").write_text(f"{text}\nuser root\n")
    return ShippedBroker(broker, monitor_port, secrets_folder)
