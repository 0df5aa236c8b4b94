"""The running daemon: start, run, stop and reload. `service.builder` builds its parts."""

import logging
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from monitor import __version__
from monitor.bundle import default_bundle
from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.service.connections import Connections
from monitor.service.pipeline_thread import PipelineThread
from monitor.service.process_control import ProcessControl
from monitor.service.request_handler import RequestHandler
from monitor.web.server import Server

__all__ = ["Daemon", "Health", "RestoredCounts"]

_log = logging.getLogger(__name__)

# Seconds that source and sink may each wait for confirmations when they disconnect.
_DISCONNECT_TIMEOUT_S = 1.0
_LOOPBACK_HOSTS = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class RestoredCounts:
    """The contents of the store when it was opened."""

    groups: int
    open_incidents: int
    unconfirmed_messages: int
    """Messages that are not published, or not confirmed by the broker."""


class Health:
    """Tells whether the daemon works, for the HTTP endpoints `/livez` and `/readyz`."""

    def __init__(self, *, pipeline_thread: PipelineThread, connections: Connections) -> None:
        self._pipeline_thread = pipeline_thread
        self._connections = connections

    @property
    def liveness_problem(self) -> str:
        """Why the process should be restarted, as text for users; "" if it should not."""
        return self._pipeline_thread.problem

    @property
    def readiness_problem(self) -> str:
        """Why the daemon can't receive, store or publish, as text for users; "" if it can."""
        return "; ".join(filter(None, [self._connections.problem, self._pipeline_thread.store_problem]))

    @property
    def unready_parts(self) -> str:
        """The parts that `readiness_problem` tells of, without addresses, logins and reasons; "" if none."""
        problems = {"broker": self._connections.problem, "store": self._pipeline_thread.store_problem}
        return ", ".join(part for part, problem in problems.items() if problem)


class Daemon:
    """All parts of `sensor-monitor run`.

    Parameters
    ----------
    process : requests and waits for the end of the process.
    pipeline_thread : judges readings, and closes the store.
    connections : source and sink.
    requests : passes on requests of operators and reloads.
    server : answers HTTP.
    registry : all metrics.
    settings, manifest, restored : settings, bundle and contents of the store at startup, for the log.
    """

    def __init__(
        self,
        *,
        process: ProcessControl,
        pipeline_thread: PipelineThread,
        connections: Connections,
        requests: RequestHandler,
        server: Server,
        registry: CollectorRegistry,
        settings: Settings,
        manifest: Manifest,
        restored: RestoredCounts,
    ) -> None:
        self._process = process
        self._pipeline_thread = pipeline_thread
        self._connections = connections
        self._requests = requests
        self._server = server
        self._settings = settings
        self._manifest = manifest
        self._restored = restored
        self._health = Health(pipeline_thread=pipeline_thread, connections=connections)
        self.registry = registry
        """All metrics."""
        self.address = server.address
        """URL of the HTTP server, e.g. `http://127.0.0.1:9108`."""
        self.steps = manifest.steps
        """Readings in a window; a reload can't change it."""

    def start(self) -> None:
        """Start the HTTP server and the pipeline, and connect."""
        self._process.watch_threads()
        self._log_start()
        self._server.start()
        self._pipeline_thread.start()
        self._connections.start(self._requests.handle, self._requests.record_dropped)
        self._process.notify_ready()

    def run(self) -> int:
        """Wait until `request_stop` is called or something ends the daemon; return the exit code."""
        return self._process.wait_for_exit()

    def request_stop(self) -> None:
        """Make `run` return."""
        self._process.request_exit()

    def stop(self) -> None:
        """Process the messages in the queue, publish the outbox and `offline`, and disconnect."""
        self._process.notify_stopping()
        self._pipeline_thread.stop()
        self._connections.stop(_DISCONNECT_TIMEOUT_S)
        self._server.stop()
        self._pipeline_thread.close()
        self._requests.close()
        self._process.unwatch_threads()
        self._process.close()
        _log.info("stopped")

    def reload(self) -> str:
        """Load the current bundle and settings; return an error message, "" after a success."""
        return self._requests.reload()

    @property
    def exit_requested(self) -> bool:
        """Whether the end of the process was requested, or a thread failed."""
        return self._process.exit_requested

    @property
    def ready(self) -> bool:
        """Whether the daemon is connected, subscribed, and able to write the store."""
        return not self._health.readiness_problem

    def _log_start(self) -> None:
        settings, manifest, restored = self._settings, self._manifest, self._restored
        folder, features = default_bundle.choose_folder(settings.bundle), ", ".join(manifest.feature_names)
        _log.info(
            "sensor-monitor %s: bundle %s from %s judges %s", __version__, manifest.id, folder, features
        )
        if note := default_bundle.default_notice(folder):
            _log.warning(note)
        _log.info(
            "store %s: restored %s groups, %s open incidents and %s messages to send",
            settings.store.path,
            restored.groups,
            restored.open_incidents,
            restored.unconfirmed_messages,
        )
        _log.info("answering on %s", self.address)
        http = settings.http
        if http.host not in _LOOPBACK_HOSTS and not http.needs_token:
            _log.warning("http.host: whoever reaches %s sees all of it; expected http.token", http.host)
