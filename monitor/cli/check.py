"""Find out whether `sensor-monitor run` would start with these settings."""

import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from monitor import bundle
from monitor.bundle import default_bundle
from monitor.bundle.manifest import Manifest
from monitor.config.secrets import password, token
from monitor.config.settings import Settings
from monitor.core.errors import FailedError, InUseError
from monitor.core.messages import Asked, Delivery, Read
from monitor.core.topics import Template
from monitor.mqtt import Session
from monitor.mqtt.client_id import client_id
from monitor.service.stages import build_scoring, decoder
from monitor.storage import restore
from monitor.web.server import listen

__all__ = ["check_connection", "check_files"]

# How long the broker, or who has our port, may take to answer, in seconds.
_PATIENCE = 10.0


def check_files(settings: Settings) -> str:
    """Verify the bundle, that the settings fit it, and that store and port can be had; return what was found.

    Raises
    ------
    UnusableError : something can't be used.
    FailedError : something can't be used now.
    """
    folder = default_bundle.choose(settings.bundle)
    loaded = bundle.load(folder)
    found = loaded.manifest
    decoder(settings, found.names)
    build_scoring(loaded, settings.windows, settings.alerts)
    _session(settings, _Visit())
    token(settings.http)
    quality = ", ".join(
        f"{name} {value:.3f}" for name, value in found.quality.items() if isinstance(value, float)
    )
    features = ", ".join(f"{feature.name} ({feature.unit})" for feature in found.features)
    return (
        f"bundle {folder}: ok: {found.id}, made {found.created}\n"
        f"  windows of {found.steps} readings of {features}\n"
        f"  measured in training: {quality or 'nothing'}"
        + (f"\n  {note}" if (note := default_bundle.note(folder)) else "")
        + f"\n{_places(settings, found)}"
    )


def _places(settings: Settings, manifest: Manifest) -> str:
    """Return whether store and port can be had, or are a running monitor's.

    Raises
    ------
    UnusableError : one can't be used.
    FailedError : one can't be used now.
    """
    store, http = settings.store.path, settings.http
    try:
        found = restore.look(settings.store, manifest.names, manifest.steps)
        runs = False
    except InUseError:
        found, runs = "in use, as by a running monitor", True
    lines = f"store {store}: {found}\nhttp {http.host}:{http.port}: "
    try:
        listen(http.host, http.port).close()
    except InUseError:
        if not (runs and _is_monitor(http.host, http.port)):
            raise
        return f"{lines}in use, by a running monitor"
    return f"{lines}ok"


def _is_monitor(host: str, port: int) -> bool:
    """Say whether who has a port answers as a monitor that is alive."""
    connection = HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


class _Visit:
    """Connects once and remembers how that went."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.problem = ""

    def connected(self) -> None:
        self.done.set()

    def disconnected(self, reason: str) -> None:
        if not self.done.is_set():
            self.problem = reason
            self.done.set()

    def taken_over(self) -> None:
        self.disconnected("another client has taken over the client id")

    def publish_refused(self) -> None:
        """Hear nothing: nothing is published."""

    def received(self, messages: Sequence[Delivery], read: Read | None) -> None:
        """Leave what comes to the daemon."""

    def requested(self, asked: Asked) -> None:
        """Hear nothing: no requests are subscribed to."""


def check_connection(settings: Settings) -> None:
    """Connect and subscribe as the daemon would, under an id that doesn't disturb one that runs.

    Raises
    ------
    FailedError : the broker doesn't answer or refuses us.
    ConfigurationError : a secret can't be read.
    """
    visit = _Visit()
    session = _session(settings, visit)
    session.start()
    answered = visit.done.wait(_PATIENCE)
    session.stop(timeout=1.0)
    if not answered:
        broker = f"{settings.mqtt.host}:{settings.mqtt.port}"
        raise FailedError(f"mqtt: {broker} doesn't answer within {_PATIENCE:.0f} s")
    if visit.problem:
        raise FailedError(f"mqtt: {visit.problem}")


def _session(settings: Settings, visit: _Visit) -> Session:
    return Session(
        settings.mqtt,
        f"{client_id(settings)}-check",
        password(settings.mqtt),
        visit,
        filters=[Template(text).filter for text in settings.input.topics],
    )
