"""Builds the parts of the HTTP server: the page's data, its application, its certificate."""

from monitor.bundle import default_bundle
from monitor.bundle.manifest import Manifest
from monitor.config.http_settings import HttpSettings
from monitor.groups.mutes import Mutes
from monitor.groups.state import GroupStates
from monitor.service.daemon import Health
from monitor.service.input_watch import InputWatch
from monitor.service.reload import RunningConfig
from monitor.telemetry.metrics import Metrics
from monitor.web.app import build_app
from monitor.web.certificate import ServerCertificate
from monitor.web.health import HealthChecks
from monitor.web.live import LiveGroups
from monitor.web.server import Server
from monitor.web.status import MonitorStatus
from monitor.web.stream import Stream

__all__ = ["build_certificate", "build_live_groups", "build_server"]

# Seconds of event time between two points of a group's history on the page, which shows five minutes.
_HISTORY_INTERVAL_S = 5.0


def build_certificate(http: HttpSettings) -> ServerCertificate | None:
    """Load the server's certificate; return None if it has none.

    Raises
    ------
    ConfigurationError : it can't be used.
    """
    return ServerCertificate(http.certfile, http.keyfile) if http.certfile else None


def build_live_groups(manifest: Manifest, groups: GroupStates, mutes: Mutes) -> LiveGroups:
    """Build the page's data of each group, with the restored ones in it."""
    live_groups = LiveGroups(
        features=len(manifest.features),
        point_interval_s=max(_HISTORY_INTERVAL_S, manifest.sample_period),
        is_acknowledged=groups.is_acknowledged,
        is_muted=mutes.is_muted,
    )
    live_groups.load_statuses(groups.statuses())
    return live_groups


def build_server(
    *,
    running: RunningConfig,
    metrics: Metrics,
    groups: GroupStates,
    live_groups: LiveGroups,
    health: Health,
    input_watch: InputWatch,
) -> Server:
    """Build the HTTP server, and listen on its port.

    Raises
    ------
    ConfigurationError, InUseError : as `monitor.web.server.listen`.
    """
    http = running.settings.http
    status = MonitorStatus(
        metrics.registry,
        lambda: (running.settings, running.manifest),
        lambda: health.readiness_problem,
        get_input_problem=lambda: input_watch.problem,
        aligns_values=groups.aligns_values,
    )
    stream = Stream(live_groups, status.snapshot)
    app = build_app(
        registry=metrics.registry,
        health=HealthChecks(
            liveness=lambda: health.liveness_problem,
            readiness=lambda: health.readiness_problem,
            unready_parts=lambda: health.unready_parts,
            input_problem=lambda: input_watch.problem,
        ),
        stream=stream,
        get_bundle_dir=lambda: default_bundle.choose_folder(running.settings.bundle),
        get_token=(lambda: running.token) if running.token else None,
        allowed_hosts=(*http.allowed_hosts, http.host.lower()),
        count_refusal=metrics.http_refusals.count,
    )
    return Server(app, http.host, http.port, stream.stop, running.certificate, metrics.http_refusals.count)
