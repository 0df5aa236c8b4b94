"""Checks whether `sensor-monitor run` would start with given settings."""

import ssl
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from monitor.bundle import default_bundle
from monitor.bundle.manifest import Manifest
from monitor.cli.broker_check import build_check_session
from monitor.cli.broker_client import ClientListener
from monitor.config.exposed_secrets import find_exposed_secrets
from monitor.config.http_settings import HttpSettings
from monitor.config.secrets import read_token
from monitor.config.settings import Settings
from monitor.core.addresses import format_address
from monitor.core.errors import InUseError
from monitor.service.settings_to_alignment import adapt_bundle, build_alignment
from monitor.service.settings_to_audit import check_audit
from monitor.service.settings_to_decoder import build_decoder
from monitor.service.settings_to_features import describe_features, load_bundle
from monitor.service.settings_to_stages import build_scoring, choose_max_gap, choose_stale_after
from monitor.storage import restore
from monitor.web.certificate import load_context
from monitor.web.server import listen

__all__ = ["check_files"]

# Seconds to wait for an answer of the process that listens on our HTTP port.
_TIMEOUT_S = 10.0
_JUDGED = {"window": "as a whole", "sensor": "sensor by sensor"}


def check_files(settings: Settings) -> str:
    """Verify the bundle, that the settings fit it, the secrets, the store and the HTTP port.

    Returns a description of the results, in several lines.

    Raises
    ------
    InvalidInputError : the bundle, a setting, a secret, the store or the port can't be used.
    OperationError : the store or the port can't be used at the moment.
    """
    folder = default_bundle.choose_folder(settings.bundle)
    settings, loaded = adapt_bundle(settings, load_bundle(settings))
    manifest = loaded.manifest
    build_decoder(settings, manifest.feature_names)
    build_alignment(settings, manifest.feature_names, manifest.sample_period)
    build_scoring(loaded, settings.windows, settings.alerts, checks=settings.checks)
    build_check_session(settings, ClientListener())  # reads the password, certificates and keys
    read_token(settings.http)
    if settings.http.certfile:
        load_context(settings.http.certfile, settings.http.keyfile)
    check_audit(settings.operators)
    quality = ", ".join(
        f"{name} {value:.3f}" for name, value in manifest.quality.items() if isinstance(value, float)
    )
    max_gap = choose_max_gap(settings.windows, manifest.sample_period)
    stale_after = choose_stale_after(settings.windows, manifest.sample_period)
    lines = [
        f"bundle {folder}: ok: {manifest.id}, made {manifest.created}",
        f"  windows of {manifest.steps} readings, judged {_JUDGED[manifest.judges]}",
        *(f"  {line}" for line in describe_features(manifest)),
        f"  every {manifest.sample_period:g} s; max_gap {max_gap:g} s, stale_after {stale_after:g} s",
        f"  measured in training: {quality or 'nothing'}",
    ]
    lines += [f"warning: {warning}" for warning in find_exposed_secrets(settings)]
    if notice := default_bundle.default_notice(folder):
        lines.append(f"  {notice}")
    return "\n".join([*lines, _check_store_and_port(settings, manifest)])


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
        if not (monitor_running and _is_monitor(http)):
            raise
        return f"{lines}in use, by a running monitor"
    return f"{lines}ok"


def _is_monitor(http: HttpSettings) -> bool:
    """Return whether the process that listens on this port answers /livez with 200, as a monitor does."""
    connection = HTTPConnection(http.host, http.port, timeout=_TIMEOUT_S)
    if http.certfile:  # it isn't verified: it need not be valid for the address that is listened on
        tls = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = HTTPSConnection(http.host, http.port, timeout=_TIMEOUT_S, context=tls)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
