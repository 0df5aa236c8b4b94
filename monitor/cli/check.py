"""Find out whether `sensor-monitor run` would start with these settings."""

import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from monitor import bundle
from monitor.bundle import default_bundle
from monitor.bundle.manifest import Manifest
from monitor.config.secrets import read_password, read_token
from monitor.config.settings import Settings
from monitor.core.errors import InUseError, OperationError
from monitor.core.messages import InboundMessage, InboundRequest, ReadOnce
from monitor.core.topics import Template
from monitor.mqtt import Session, SessionOptions
from monitor.mqtt.client_id import client_id
from monitor.service.stages import build_decoder, build_scoring
from monitor.storage import restore
from monitor.web.server import listen

__all__ = ["check_connection", "check_files"]

# How long the broker, or who has our port, may take to answer, in seconds.
_TIMEOUT_S = 10.0


def check_files(settings: Settings) -> str:
    """Verify the bundle, that the settings fit it, and that store and port can be had; return what was found.

    Raises
    ------
    UnusableError : something can't be used.
    FailedError : something can't be used now.
    """
    folder = default_bundle.choose_folder(settings.bundle)
    loaded = bundle.load(folder)
    manifest = loaded.manifest
    build_decoder(settings, manifest.feature_names)
    build_scoring(loaded, settings.windows, settings.alerts)
    _build_session(settings, _ConnectionProbe())
    read_token(settings.http)
    quality = ", ".join(
        f"{name} {value:.3f}" for name, value in manifest.quality.items() if isinstance(value, float)
    )
    features = ", ".join(f"{feature.name} ({feature.unit})" for feature in manifest.features)
    return (
        f"bundle {folder}: ok: {manifest.id}, made {manifest.created}\n"
        f"  windows of {manifest.steps} readings of {features}\n"
        f"  measured in training: {quality or 'nothing'}"
        + (f"\n  {note}" if (note := default_bundle.default_notice(folder)) else "")
        + f"\n{_check_store_and_port(settings, manifest)}"
    )


def _check_store_and_port(settings: Settings, manifest: Manifest) -> str:
    """Return whether store and port can be had, or are a running monitor's.

    Raises
    ------
    UnusableError : one can't be used.
    FailedError : one can't be used now.
    """
    store, http = settings.store.path, settings.http
    try:
        store_status = restore.inspect_store(settings.store, manifest.feature_names, manifest.steps)
        monitor_running = False
    except InUseError:
        store_status, monitor_running = "in use, as by a running monitor", True
    lines = f"store {store}: {store_status}\nhttp {http.host}:{http.port}: "
    try:
        listen(http.host, http.port).close()
    except InUseError:
        if not (monitor_running and _is_monitor(http.host, http.port)):
            raise
        return f"{lines}in use, by a running monitor"
    return f"{lines}ok"


def _is_monitor(host: str, port: int) -> bool:
    """Say whether who has a port answers as a monitor that is alive."""
    connection = HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


class _ConnectionProbe:
    """Connects once and remembers how that went."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.problem = ""

    def on_connected(self) -> None:
        self.done.set()

    def on_disconnected(self, reason: str) -> None:
        if not self.done.is_set():
            self.problem = reason
            self.done.set()

    def on_taken_over(self) -> None:
        self.on_disconnected("another client has taken over the client id")

    def on_publish_failed(self) -> None:
        """Hear nothing: nothing is published."""

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Leave what comes to the daemon."""

    def on_request(self, request: InboundRequest) -> None:
        """Hear nothing: no requests are subscribed to."""


def check_connection(settings: Settings) -> None:
    """Connect and subscribe as the daemon would, under an id that doesn't disturb one that runs.

    Raises
    ------
    FailedError : the broker doesn't answer or refuses us.
    ConfigurationError : a secret can't be read.
    """
    probe = _ConnectionProbe()
    session = _build_session(settings, probe)
    session.start()
    has_answered = probe.done.wait(_TIMEOUT_S)
    session.stop(timeout=1.0)
    if not has_answered:
        broker = f"{settings.mqtt.host}:{settings.mqtt.port}"
        raise OperationError(f"mqtt: {broker} doesn't answer within {_TIMEOUT_S:.0f} s")
    if probe.problem:
        raise OperationError(f"mqtt: {probe.problem}")


def _build_session(settings: Settings, listener: _ConnectionProbe) -> Session:
    return Session(
        settings.mqtt,
        f"{client_id(settings)}-check",
        read_password(settings.mqtt),
        listener,
        SessionOptions(filters=tuple(Template(text).filter for text in settings.input.topics)),
    )
