"""The running daemon: builds the parts, and its life is start, run, stop."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from monitor import __version__, bundle
from monitor.bundle import default_bundle
from monitor.config.secrets import read_token
from monitor.config.settings import Settings
from monitor.core.errors import ConfigurationError, InvalidInputError, OperationError
from monitor.detect.drift import DriftStage
from monitor.detect.scoring import Scoring
from monitor.groups.state import GroupStates
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.operators.commands import OperatorCommands
from monitor.operators.false_alarms import FalseAlarmFile
from monitor.publish.home_assistant import Discovery
from monitor.publish.publisher import Publisher
from monitor.service import reload
from monitor.service.broker_link import BrokerLink
from monitor.service.gateway import Gateway
from monitor.service.parallel_scorer import ParallelScorer
from monitor.service.pipeline import Pipeline
from monitor.service.stages import build_decoder, build_scoring
from monitor.service.systemd import Systemd
from monitor.storage.restore import restore
from monitor.telemetry.logs import PipelineLog
from monitor.telemetry.metrics import Metrics, TimedScorer
from monitor.web.app import build_app
from monitor.web.live import LiveGroups
from monitor.web.server import Server
from monitor.web.status import MonitorStatus
from monitor.web.stream import Stream

__all__ = ["Daemon"]

_log = logging.getLogger(__name__)

# A pipeline that didn't come round for this many seconds hangs: its turns take half a second when idle,
# and a full batch a tenth.
_HANG_TIMEOUT_S = 10.0
# Seconds of event time between two points of a group's history on the page: so it shows five minutes.
_HISTORY_INTERVAL_S = 5.0
# How long `stop` waits for the pipeline to finish, in seconds: to drain and say farewell it takes 3 at most.
_PIPELINE_STOP_TIMEOUT_S = 4.0


_LOOPBACK_HOSTS = {"127.0.0.1", "::1", "localhost"}


class Daemon:
    """Everything that `sensor-monitor run` runs.

    Parameters
    ----------
    settings : all of them.
    read_settings : returns them as they are now, for a reload.

    Raises
    ------
    UnusableError : something given can't be used. No connection to the broker has been tried then.
    FailedError : the store can't be opened now, or the port is in use.
    """

    def __init__(self, settings: Settings, read_settings: Callable[[], Settings] | None = None) -> None:
        self._settings = settings
        self._read_settings = read_settings or (lambda: settings)
        self._bundle = bundle.load(default_bundle.choose_folder(settings.bundle))
        manifest = self._bundle.manifest
        self.registry = CollectorRegistry()
        self._metrics = Metrics(self.registry, manifest)
        self._receive_queue = ReceiveQueue()
        self._metrics.watch_queue(lambda: len(self._receive_queue))
        self._systemd = Systemd()
        decode = build_decoder(settings, manifest.feature_names)
        groups = GroupStates(self._build_scoring(self._bundle), settings.windows.stale_after)
        self._groups = groups
        self._metrics.watch_drift(self._drift)
        now, max_groups = time.monotonic(), settings.input.max_groups
        self._store = restore(
            settings.store, groups, manifest.feature_names, manifest.steps, max_groups=max_groups, now=now
        )
        false_alarms = FalseAlarmFile(settings.alerts.false_alarms, manifest.feature_names, manifest.steps)
        self._commands = OperatorCommands(groups, self._store.load_mutes(), false_alarms)
        try:
            self._broker_link = BrokerLink(
                settings, manifest, self._store.load_filters(), self._receive_queue, self._metrics, self.reload,
                self._commands.submit, self._request_exit,
            )  # fmt: skip
            self._server, self._live_groups = self._build_web(settings)
        except (InvalidInputError, OperationError):
            self._store.close()
            raise
        self._store.add_filters(self._broker_link.session.subscriptions)
        groups.fetch_states, groups.fetch_ended_incident = (
            self._store.fetch_groups,
            self._store.fetch_incident,
        )
        groups.register_expected(settings.input.groups, now, time.time())
        self._live_groups.load_statuses(groups.status.statuses())
        self._gateway = Gateway(
            self._receive_queue, self._broker_link.session, self._broker_link.publish_session, self._store, groups.dump,
            self._commands.mutes, groups.incidents, settings.mqtt.base_topic, self._metrics, max_groups=max_groups,
            acks_enabled=settings.mqtt.qos > 0,
        )  # fmt: skip
        self._pipeline = Pipeline(
            self._gateway, decode, groups, self._commands, self._build_publisher(groups, now), max_groups, self._metrics,
            PipelineLog(), self._systemd.feed_watchdog, observer=self._live_groups,
        )  # fmt: skip
        self.address = self._server.address
        """Where HTTP is answered, e.g. `http://127.0.0.1:9108`."""
        # A pipeline that hangs must not keep a process alive that was told to stop.
        self._thread = threading.Thread(target=self._run_pipeline, name="pipeline", daemon=True)
        self._stopping = threading.Event()
        self._exit_requested = threading.Event()
        self._exit_code = 0
        self._reload_lock = threading.Lock()
        self._previous_excepthook = threading.excepthook

    def start(self) -> None:
        """Answer HTTP, connect, and judge what comes."""
        self._previous_excepthook, threading.excepthook = threading.excepthook, self._on_thread_exception
        manifest = self._bundle.manifest
        folder = default_bundle.choose_folder(self._settings.bundle)
        _log.info(
            "sensor-monitor %s: bundle %s from %s judges %s", __version__, manifest.id, folder,
            ", ".join(manifest.feature_names),
        )  # fmt: skip
        if note := default_bundle.default_notice(folder):
            _log.warning(note)
        _log.info(
            "store %s: restored %s groups, %s open incidents and %s messages to send",
            self._settings.store.path, len(self._groups.status), self._groups.scoring.alerts.firing_count,
            self._gateway.unconfirmed_count,
        )  # fmt: skip
        _log.info("answering on %s", self.address)
        http = self._settings.http
        if http.host not in _LOOPBACK_HOSTS and not (http.token or http.token_file):
            _log.warning("http.host: whoever reaches %s sees all of it; expected http.token", http.host)
        self._server.start()
        self._thread.start()
        self._broker_link.start()
        self._systemd.notify_ready()

    def run(self) -> int:
        """Wait until `request_stop` is called or something ends the daemon; return the exit code."""
        self._exit_requested.wait()
        return self._exit_code

    def request_stop(self) -> None:
        """Make `run` return."""
        self._exit_requested.set()

    @property
    def exit_requested(self) -> bool:
        """Whether something asked for the end, or brought it about."""
        return self._exit_requested.is_set()

    @property
    def ready(self) -> bool:
        """Whether it is connected, subscribed and able to write."""
        return not self._readiness_problem()

    @property
    def steps(self) -> int:
        """Readings in a window of the bundle in use."""
        return self._bundle.manifest.steps

    def stop(self) -> None:
        """Judge what still waits, publish what is left, say `offline`, disconnect."""
        self._systemd.notify_stopping()
        self._stopping.set()
        self._receive_queue.close()  # what comes now isn't acknowledged, and comes again
        self._receive_queue.wake()
        if self._thread.is_alive():
            self._thread.join(_PIPELINE_STOP_TIMEOUT_S)
        self._broker_link.stop(timeout=1.0)
        self._server.stop()
        if not self._thread.is_alive():
            self._store.close()
        threading.excepthook = self._previous_excepthook
        self._systemd.close()
        _log.info("stopped")

    def reload(self) -> str:
        """Go on with bundle and settings as they are now; return why not, and all stays; "" if it worked."""
        with self._reload_lock:
            self._systemd.notify_reloading()
            try:
                settings = self._read_settings()
                loaded = reload.load(self._settings, settings, self._bundle.manifest)
                self._apply_reload(settings, loaded)
            except InvalidInputError as error:
                _log.error("reload refused, all stays as it was: %s", error)
                self._metrics.reloads_by_result["refused"].inc()
                return str(error)
            finally:
                self._systemd.notify_ready()
            self._metrics.reloads_by_result["done"].inc()
            return ""

    def _build_publisher(self, groups: GroupStates, now: float) -> Publisher:
        home_assistant, broker_link = self._settings.homeassistant, self._broker_link
        discovery = Discovery(home_assistant.discovery_prefix, self._settings.mqtt.base_topic)
        return Publisher(
            groups, self._commands.mutes, self._bundle.manifest, discovery if home_assistant.discovery else None,
            broker_link.retained_lost, broker_link.home_assistant_restarted, now,
        )  # fmt: skip

    def _build_web(self, settings: Settings) -> tuple[Server, LiveGroups]:
        manifest = self._bundle.manifest
        self._token = read_token(settings.http) or ""
        live_groups = LiveGroups(
            len(manifest.features), max(_HISTORY_INTERVAL_S, manifest.sample_period), self._groups.incidents.is_acknowledged,
            self._commands.mutes.is_muted,
        )  # fmt: skip
        status = MonitorStatus(
            self.registry, lambda: (self._settings, self._bundle.manifest), self._readiness_problem
        )
        stream = Stream(live_groups, status.snapshot)
        app = build_app(
            self.registry, self._liveness_problem, self._readiness_problem, stream,
            lambda: default_bundle.choose_folder(self._settings.bundle), (lambda: self._token) if self._token else None,
        )  # fmt: skip
        return Server(app, settings.http.host, settings.http.port, stream.stop), live_groups

    def _build_scoring(self, loaded: bundle.Bundle) -> Scoring:
        scorer = TimedScorer(ParallelScorer(loaded.classifier), self._metrics.inference_seconds)
        return build_scoring(loaded, self._settings.windows, self._settings.alerts, scorer)

    def _apply_reload(self, settings: Settings, loaded: bundle.Bundle) -> None:
        before, token = self._settings, read_token(settings.http) or ""
        self._settings = settings
        try:
            scoring = self._build_scoring(loaded)
        except ConfigurationError:
            self._settings = before
            raise
        replacement = self._pipeline.replace_scoring(scoring, loaded.manifest, settings.windows.stale_after)
        self._receive_queue.wake()
        replacement.done.wait(_HANG_TIMEOUT_S)
        self._commands.false_alarms.path = settings.alerts.false_alarms
        self._bundle, self._token = loaded, token
        self._metrics.set_bundle(loaded.manifest)
        self._metrics.watch_drift(self._drift)
        self._broker_link.reconfigure(settings, loaded.manifest)
        _log.info(
            "reloaded: bundle %s from %s", loaded.manifest.id, default_bundle.choose_folder(settings.bundle)
        )

    def _drift(self) -> DriftStage:
        return self._groups.scoring.drift

    def _run_pipeline(self) -> None:
        self._pipeline.run(self._stopping)
        self._gateway.flush()

    def _on_thread_exception(self, args: Any) -> None:
        """End the process when any thread dies of an exception: better none than half a monitor."""
        name = args.thread.name if args.thread else "unknown"
        trace = (args.exc_type, args.exc_value, args.exc_traceback)
        _log.critical("thread %r died, so the monitor stops", name, exc_info=trace)
        self._request_exit(1)

    def _request_exit(self, exit_code: int) -> None:
        self._exit_code = self._exit_code or exit_code
        self._exit_requested.set()

    def _liveness_problem(self) -> str:
        if not self._thread.is_alive():
            return "the pipeline thread is dead"
        idle_s = time.monotonic() - self._pipeline.last_iteration_at
        return f"the pipeline hangs for {idle_s:.0f} s" if idle_s > _HANG_TIMEOUT_S else ""

    def _readiness_problem(self) -> str:
        return "; ".join(filter(None, [self._broker_link.problem, self._gateway.problem]))
