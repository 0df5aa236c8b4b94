"""Warns of passwords, tokens and keys that others can read, in their file or on their way to the broker."""

import stat
from collections.abc import Iterator
from pathlib import Path

from monitor.config.settings import Settings
from monitor.core.addresses import is_loopback

__all__ = ["find_exposed_secrets"]

# Where Docker, Compose and Podman put the secrets of one container, readable by all that runs in it.
_CONTAINER_SECRETS = Path("/run/secrets")


def find_exposed_secrets(settings: Settings) -> Iterator[str]:
    """Yield a text for users for each secret that others than the monitor and its group can read."""
    mqtt, http = settings.mqtt, settings.http
    files = {
        "mqtt.password_file": mqtt.password_file,
        "mqtt.tls.keyfile": mqtt.tls.keyfile or mqtt.tls.certfile,  # one file may have both
        "http.token_file": http.token_file,
        "http.keyfile": http.keyfile or http.certfile,
    }
    for name, file in files.items():
        if file is not None and _is_readable_by_all(file):
            yield f"{name}: every user of this machine can read {file}; expected chmod o-rwx, or chmod 600"
    has_password = mqtt.password is not None or mqtt.password_file is not None
    if has_password and not mqtt.tls.is_enabled and not is_loopback(mqtt.host):
        yield (
            f"mqtt.password: it goes to {mqtt.host} unencrypted, and whoever is on the network can read it; "
            "expected mqtt.tls.enabled = true"
        )


def _is_readable_by_all(file: Path) -> bool:
    """Return whether users who are neither the owner nor in the file's group can read it.

    A group was given on purpose; a folder that keeps others out protects its files.
    """
    path = file.resolve()
    if _CONTAINER_SECRETS in path.parents:
        return False
    try:
        reachable = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
        return reachable and bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False  # who reads it says why it can't be read
