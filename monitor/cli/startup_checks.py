"""Checks whether `sensor-monitor run` would start with given settings."""

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from monitor import bundle
from monitor.bundle import default_bundle
from monitor.bundle.manifest import Manifest
from monitor.cli.broker_client import ClientListener, build_session
from monitor.config.secrets import read_token
from monitor.config.settings import Settings
from monitor.core.addresses import format_address
from monitor.core.errors import InUseError, OperationError
from monitor.mqtt import Session
from monitor.mqtt.client_id import client_id
from monitor.service.settings_to_sources import build_decoder
from monitor.service.settings_to_stages import build_scoring
from monitor.storage import restore
from monitor.web.server import listen

__all__ = ["check_connection", "check_files"]

# Seconds to wait for an answer of the broker, or of the process that listens on our HTTP port.
_TIMEOUT_S = 10.0


def check_files(settings: Settings) -> str:
    """Verify the bundle, that the settings fit it, the secrets, the store and the HTTP port.

    Returns a description of the results, in several lines.

    Raises
    ------
    InvalidInputError : the bundle, a setting, a secret, the store or the port can't be used.
    OperationError : the store or the port can't be used at the moment.
    """
    folder = default_bundle.choose_folder(settings.bundle)
    loaded = bundle.load(folder)
    manifest = loaded.manifest
    build_decoder(settings, manifest.feature_names)
    build_scoring(loaded, settings.windows, settings.alerts)
    _build_check_session(settings, ClientListener())  # reads the password, certificates and keys
    read_token(settings.http)
    quality = ", ".join(
        f"{name} {value:.3f}" for name, value in manifest.quality.items() if isinstance(value, float)
    )
    features = ", ".join(f"{feature.name} ({feature.unit})" for feature in manifest.features)
    lines = [
        f"bundle {folder}: ok: {manifest.id}, made {manifest.created}",
        f"  windows of {manifest.steps} readings of {features}",
        f"  measured in training: {quality or 'nothing'}",
    ]
    if notice := default_bundle.default_notice(folder):
        lines.append(f"  {notice}")
    return "\n".join([*lines, _check_store_and_port(settings, manifest)])


def check_connection(settings: Settings) -> None:
    """Connect and subscribe as the daemon would, with another client id, so a running daemon stays connected.

    Raises
    ------
    OperationError : the broker doesn't answer or refuses the client.
    ConfigurationError : a secret can't be read.
    """
    listener = ClientListener()
    session = _build_check_session(settings, listener)
    session.start()
    has_answered = listener.answered.wait(_TIMEOUT_S)
    session.stop(timeout=1.0)
    if not has_answered:
        broker = format_address(settings.mqtt.host, settings.mqtt.port)
        raise OperationError(f"mqtt: {broker} doesn't answer within {_TIMEOUT_S:.0f} s")
    if listener.problem:
        raise OperationError(f"mqtt: {listener.problem}")


def _build_check_session(settings: Settings, listener: ClientListener) -> Session:
    return build_session(settings, f"{client_id(settings)}-check", listener, subscribe=True)


def _check_store_and_port(settings: Settings, manifest: Manifest) -> str:
    """Verify that the store and the HTTP port can be opened, or that a running monitor holds them.

    Raises
    ------
    InvalidInputError : the store or the port can't be used.
    OperationError : the store or the port can't be used at the moment.
    """
    store, http = settings.store.path, settings.http
    try:
        store_status = restore.inspect_store(settings.store, manifest.feature_names, manifest.steps)
        monitor_running = False
    except InUseError:
        store_status, monitor_running = "in use, as by a running monitor", True
    lines = f"store {store}: {store_status}\nhttp {format_address(http.host, http.port)}: "
    try:
        listen(http.host, http.port).close()
    except InUseError:
        if not (monitor_running and _is_monitor(http.host, http.port)):
            raise
        return f"{lines}in use, by a running monitor"
    return f"{lines}ok"


def _is_monitor(host: str, port: int) -> bool:
    """Return whether the process that listens on this port answers /livez with 200, as a monitor does."""
    connection = HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
