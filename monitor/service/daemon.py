"""The running daemon: builds the parts, and its life is start, run, stop."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from monitor import __version__, bundle
from monitor.bundle import default_bundle
from monitor.config.secrets import token
from monitor.config.settings import Settings
from monitor.core.errors import ConfigurationError, FailedError, UnusableError
from monitor.detect.drift import DriftStage
from monitor.detect.scoring import Chain
from monitor.groups.state import Memory
from monitor.mqtt.receive_queue import Inbox
from monitor.operators.commands import Desk
from monitor.operators.false_alarms import FalseAlarms
from monitor.publish.home_assistant import Discovery
from monitor.publish.publisher import Herald
from monitor.service import reload
from monitor.service.broker_link import Link
from monitor.service.gateway import Edge
from monitor.service.parallel_scorer import SharedScorer
from monitor.service.pipeline import Pipeline
from monitor.service.stages import build_scoring, decoder
from monitor.service.systemd import Systemd
from monitor.storage.restore import restore
from monitor.telemetry.logs import PipelineLog
from monitor.telemetry.metrics import Metrics, TimedScorer
from monitor.web.app import build
from monitor.web.live import Live
from monitor.web.server import Server
from monitor.web.status import Status
from monitor.web.stream import Stream

__all__ = ["Daemon"]

_log = logging.getLogger(__name__)

# A pipeline that didn't come round for this many seconds hangs: its turns take half a second when idle,
# and a full batch a tenth.
_HANGS_AFTER = 10.0
# Seconds of event time between two points of a group's history on the page: so it shows five minutes.
_POINT = 5.0
# How long `stop` waits for the pipeline to finish, in seconds: to drain and say farewell it takes 3 at most.
_PIPELINE_STOPS_WITHIN = 4.0


_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


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
        self._bundle = bundle.load(default_bundle.choose(settings.bundle))
        manifest = self._bundle.manifest
        self.registry = CollectorRegistry()
        self._metrics = Metrics(self.registry, manifest)
        self._inbox = Inbox()
        self._metrics.watch_queue(lambda: len(self._inbox))
        self._systemd = Systemd()
        decode = decoder(settings, manifest.names)
        memory = Memory(self._chain(self._bundle), settings.windows.stale_after)
        self._memory = memory
        self._metrics.watch_drift(self._drift)
        now, most = time.monotonic(), settings.input.max_groups
        self._store = restore(settings.store, memory, manifest.names, manifest.steps, most=most, now=now)
        false_alarms = FalseAlarms(settings.alerts.false_alarms, manifest.names, manifest.steps)
        self._desk = Desk(memory, self._store.mutes(), false_alarms)
        try:
            self._link = Link(
                settings, manifest, self._store.filters(), self._inbox, self._metrics, self.reload,
                self._desk.ask, self._end,
            )  # fmt: skip
            self._server, self._live = self._web(settings)
        except (UnusableError, FailedError):
            self._store.close()
            raise
        self._store.add_filters(self._link.session.subscriptions)
        memory.fetch, memory.fetch_incident = self._store.fetch, self._store.incident
        memory.expect(settings.input.groups, now, time.time())
        self._live.know(memory.board.lines())
        self._edge = Edge(
            self._inbox, self._link.session, self._link.outgoing, self._store, memory.dump,
            self._desk.mutes, memory.incidents, settings.mqtt.base_topic, self._metrics, most_groups=most,
            acknowledges=settings.mqtt.qos > 0,
        )  # fmt: skip
        self._pipeline = Pipeline(
            self._edge, decode, memory, self._desk, self._herald(memory, now), most, self._metrics,
            PipelineLog(), self._systemd.alive, onlooker=self._live,
        )  # fmt: skip
        self.address = self._server.address
        """Where HTTP is answered, e.g. `http://127.0.0.1:9108`."""
        # A pipeline that hangs must not keep a process alive that was told to stop.
        self._thread = threading.Thread(target=self._work, name="pipeline", daemon=True)
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._exit_code = 0
        self._reloading = threading.Lock()
        self._excepthook_before = threading.excepthook

    def start(self) -> None:
        """Answer HTTP, connect, and judge what comes."""
        self._excepthook_before, threading.excepthook = threading.excepthook, self._crashed
        manifest = self._bundle.manifest
        folder = default_bundle.choose(self._settings.bundle)
        _log.info(
            "sensor-monitor %s: bundle %s from %s judges %s", __version__, manifest.id, folder,
            ", ".join(manifest.names),
        )  # fmt: skip
        if note := default_bundle.note(folder):
            _log.warning(note)
        _log.info(
            "store %s: restored %s groups, %s open incidents and %s messages to send",
            self._settings.store.path, len(self._memory.board), self._memory.chain.alerts.firing,
            self._edge.waiting,
        )  # fmt: skip
        _log.info("answering on %s", self.address)
        http = self._settings.http
        if http.host not in _LOOPBACK and not (http.token or http.token_file):
            _log.warning("http.host: whoever reaches %s sees all of it; expected http.token", http.host)
        self._server.start()
        self._thread.start()
        self._link.start()
        self._systemd.ready()

    def run(self) -> int:
        """Wait until `request_stop` is called or something ends the daemon; return the exit code."""
        self._ended.wait()
        return self._exit_code

    def request_stop(self) -> None:
        """Make `run` return."""
        self._ended.set()

    @property
    def ended(self) -> bool:
        """Whether something asked for the end, or brought it about."""
        return self._ended.is_set()

    @property
    def ready(self) -> bool:
        """Whether it is connected, subscribed and able to write."""
        return not self._not_ready()

    @property
    def steps(self) -> int:
        """Readings in a window of the bundle in use."""
        return self._bundle.manifest.steps

    def stop(self) -> None:
        """Judge what still waits, publish what is left, say `offline`, disconnect."""
        self._systemd.stopping()
        self._stopping.set()
        self._inbox.close()  # what comes now isn't acknowledged, and comes again
        self._inbox.nudge()
        if self._thread.is_alive():
            self._thread.join(_PIPELINE_STOPS_WITHIN)
        self._link.stop(timeout=1.0)
        self._server.stop()
        if not self._thread.is_alive():
            self._store.close()
        threading.excepthook = self._excepthook_before
        self._systemd.close()
        _log.info("stopped")

    def reload(self) -> str:
        """Go on with bundle and settings as they are now; return why not, and all stays; "" if it worked."""
        with self._reloading:
            self._systemd.reloading()
            try:
                settings = self._read_settings()
                loaded = reload.load(self._settings, settings, self._bundle.manifest)
                self._change_to(settings, loaded)
            except UnusableError as error:
                _log.error("reload refused, all stays as it was: %s", error)
                self._metrics.by_result["refused"].inc()
                return str(error)
            finally:
                self._systemd.ready()
            self._metrics.by_result["done"].inc()
            return ""

    def _herald(self, memory: Memory, now: float) -> Herald:
        wanted, link = self._settings.homeassistant, self._link
        discovery = Discovery(wanted.discovery_prefix, self._settings.mqtt.base_topic)
        return Herald(
            memory, self._desk.mutes, self._bundle.manifest, discovery if wanted.discovery else None,
            link.forgotten, link.reborn, now,
        )  # fmt: skip

    def _web(self, settings: Settings) -> tuple[Server, Live]:
        manifest = self._bundle.manifest
        live = Live(
            len(manifest.features), max(_POINT, manifest.sample_period), self._memory.incidents.acknowledged,
            self._desk.mutes.muted,
        )  # fmt: skip
        status = Status(self.registry, lambda: (self._settings, self._bundle.manifest), self._not_ready)
        stream = Stream(live, status.look)
        app = build(
            self.registry, self._not_alive, self._not_ready, stream,
            lambda: default_bundle.choose(self._settings.bundle), token(settings.http),
        )  # fmt: skip
        return Server(app, settings.http.host, settings.http.port, stream.stop), live

    def _chain(self, loaded: bundle.Bundle) -> Chain:
        scorer = TimedScorer(SharedScorer(loaded.classifier), self._metrics.inference_seconds)
        return build_scoring(loaded, self._settings.windows, self._settings.alerts, scorer)

    def _change_to(self, settings: Settings, loaded: bundle.Bundle) -> None:
        before = self._settings
        self._settings = settings
        try:
            chain = self._chain(loaded)
        except ConfigurationError:
            self._settings = before
            raise
        replacement = self._pipeline.replace(chain, loaded.manifest, settings.windows.stale_after)
        self._inbox.nudge()
        replacement.done.wait(_HANGS_AFTER)
        self._desk.false_alarms.path = settings.alerts.false_alarms
        self._bundle = loaded
        self._metrics.show_bundle(loaded.manifest)
        self._metrics.watch_drift(self._drift)
        self._link.change_to(settings, loaded.manifest)
        _log.info("reloaded: bundle %s from %s", loaded.manifest.id, default_bundle.choose(settings.bundle))

    def _drift(self) -> DriftStage:
        return self._memory.chain.drift

    def _work(self) -> None:
        self._pipeline.run(self._stopping)
        self._edge.flush()

    def _crashed(self, args: Any) -> None:
        """End the process when any thread dies of an exception: better none than half a monitor."""
        name = args.thread.name if args.thread else "unknown"
        trace = (args.exc_type, args.exc_value, args.exc_traceback)
        _log.critical("thread %r died, so the monitor stops", name, exc_info=trace)
        self._end(1)

    def _end(self, exit_code: int) -> None:
        self._exit_code = self._exit_code or exit_code
        self._ended.set()

    def _not_alive(self) -> str:
        if not self._thread.is_alive():
            return "the pipeline thread is dead"
        quiet = time.monotonic() - self._pipeline.last_turn
        return f"the pipeline hangs for {quiet:.0f} s" if quiet > _HANGS_AFTER else ""

    def _not_ready(self) -> str:
        return "; ".join(filter(None, [self._link.problem, self._edge.problem]))
