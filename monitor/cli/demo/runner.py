"""`sensor-monitor demo`: puts the parts together and tells a person what happens."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from monitor.cli.demo.broker import EmbeddedBroker
from monitor.cli.demo.scorecard import ScoreCard, collect_incidents, find_faults, score_incidents
from monitor.cli.replay import Replayer
from monitor.config import loading
from monitor.config.settings import Settings
from monitor.core.errors import InUseError, InvalidInputError, OperationError
from monitor.core.messages import InboundMessage, InboundRequest, ReadOnce
from monitor.core.times import format_iso
from monitor.core.topics import Template
from monitor.mqtt import Session, SessionOptions
from monitor.recordings.reader import Recording
from monitor.service.builder import build_daemon
from monitor.service.daemon import Daemon
from monitor.telemetry.logs import configure_logging

__all__ = ["run"]

# A plant that reports every 5 s then sends 12 readings a second and station: an hour passes in a minute.
_REPLAY_SPEED = 60.0
_TOTALS_INTERVAL_S = 5.0  # seconds
# How long the end of the demo waits for what is still under way, in seconds.
_TIMEOUT_S = 5.0


def run(bundle: Path, recording: Path, seconds: float | None, stop: threading.Event) -> None:
    """Show the monitor at work until the recording ends, `duration_s` have passed or `stop` is set.

    Raises
    ------
    UnusableError : bundle or recording can't be used.
    FailedError : the monitor died on the way.
    """
    if not (bundle.exists() and recording.exists()):
        missing = recording if bundle.exists() else bundle
        raise InvalidInputError(
            f"demo: {missing} is missing; `make demo` makes both, or give --bundle and --recording"
        )
    with TemporaryDirectory(prefix="sensor-monitor-demo-") as folder:
        _run_demo(bundle, Recording(recording), seconds, stop, Path(folder) / "state.db")


def _run_demo(
    bundle: Path, recording: Recording, seconds: float | None, stop: threading.Event, store_path: Path
) -> None:
    console = Console(highlight=False, soft_wrap=True)
    broker = EmbeddedBroker()
    broker.start()
    daemon, settings = _build_daemon(bundle, broker, store_path)
    daemon.start()
    alert_printer = _AlertPrinter(console, settings)
    alert_printer.start()
    _wait_for(
        lambda: daemon.ready
    )  # what the plant says before is nobody's: the broker is as new as all else
    replayer = Replayer(recording, [Template(text) for text in settings.input.topics], {}, _REPLAY_SPEED)
    replay_thread = _start_replay(replayer, settings, stop)

    console.print(
        f"[bold]plant[/]    {recording.path}, {_REPLAY_SPEED:.0f} times real speed, over MQTT on port {broker.port}"
    )
    console.print(f"[bold]page[/]     {daemon.address}/")
    console.print(f"[bold]metrics[/]  {daemon.address}/metrics")
    console.print("Ctrl-C ends it and shows the score card. Times below are the plant's.\n")
    _print_totals(console, daemon, replay_thread, seconds, stop)

    stop.set()
    replay_thread.join()
    _wait_for(lambda: _total(daemon, "readings_total", all_labels=True) >= replayer.published_count)
    daemon.stop()
    _wait_for(lambda: len(alert_printer.events) >= _total(daemon, "alerts_total", all_labels=True))
    alert_printer.stop()
    broker.stop()
    replayed_rows = islice(recording.rows(), replayer.published_count)
    card = score_incidents(find_faults(replayed_rows, daemon.steps), collect_incidents(alert_printer.events))
    _print_card(console, card, daemon)
    daemon.request_stop()
    if daemon.run():
        raise OperationError("demo: the monitor died; the log above says why")


def _build_daemon(bundle: Path, broker: EmbeddedBroker, store_path: Path) -> tuple[Daemon, Settings]:
    """Build the daemon for this broker, on the usual HTTP port if that is free."""
    flags: dict[str, Any] = {
        "bundle": bundle,
        "mqtt": {"host": broker.host, "port": broker.port},
        "store": {"path": store_path},
        "log": {"level": "error"},  # the alerts are shown as they come over MQTT
    }
    settings = loading.load_settings(None, flags)
    configure_logging(settings.log.level, settings.log.format)
    try:
        return build_daemon(settings), settings
    except InUseError:  # of its port: the store is new
        pass
    settings = loading.load_settings(None, {**flags, "http": {"port": 0}})
    return build_daemon(settings), settings


class _AlertPrinter:
    """Subscribes to the alerts as any other program would, and prints them."""

    def __init__(self, console: Console, settings: Settings) -> None:
        self._console = console
        self._ready = threading.Event()
        self.events: list[dict[str, Any]] = []
        self._alert_prefix = f"{settings.mqtt.base_topic}/alerts/"
        options = SessionOptions(filters=(f"{self._alert_prefix}#",))
        self._session = Session(settings.mqtt, "sensor-demo-spectator", None, self, options)

    def start(self) -> None:
        self._session.start()
        self._ready.wait(_TIMEOUT_S)

    def stop(self) -> None:
        self._session.stop(timeout=1.0)

    def on_connected(self) -> None:
        self._ready.set()

    def on_disconnected(self, reason: str) -> None:
        self._console.print(f"spectator: {reason}")

    def on_taken_over(self) -> None:
        self.on_disconnected("another client has taken over the client id")

    def on_publish_failed(self) -> None:
        """Hear nothing: nothing is published."""

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:  # noqa: ARG002, it never waits
        for topic, payload, ack_token, _ in messages:
            self._session.acknowledge([ack_token])
            self._print_alert(topic, payload)

    def _print_alert(self, topic: str, payload: bytes) -> None:
        if not topic.startswith(self._alert_prefix):
            return  # amqtt now and then hands a client what another asked for
        event = json.loads(payload)
        self.events.append(event)
        colour, sign = ("red", "!") if event["status"] == "firing" else ("green", "-")
        time_text = format_iso(event["window"]["ts"][-1])[11:19]
        latest = " ".join(f"{value:.2f}" for value in event["window"]["values"][-1])
        self._console.print(
            f"{time_text}  [{colour}]{sign} {event['status']:<8}[/] {event['group']:<16} "
            f"score {event['score']:.3f}  {event['reason'] or latest}"
        )

    def on_request(self, request: InboundRequest) -> None:
        """Hear nothing: no requests are subscribed to."""


def _start_replay(replayer: Replayer, settings: Settings, stop: threading.Event) -> threading.Thread:
    session = Session(settings.mqtt, "sensor-demo-plant", None, replayer)
    thread = threading.Thread(
        target=replayer.run, args=(session, settings.mqtt.qos, stop), name="plant", daemon=True
    )
    thread.start()
    return thread


def _print_totals(
    console: Console,
    daemon: Daemon,
    replay_thread: threading.Thread,
    seconds: float | None,
    stop: threading.Event,
) -> None:
    """Print a line of totals now and then until it is over."""
    deadline = time.monotonic() + (seconds if seconds is not None else float("inf"))
    while replay_thread.is_alive() and not daemon.exit_requested and not stop.is_set():
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            return
        stop.wait(min(_TOTALS_INTERVAL_S, remaining_s))
        faulty = _total(daemon, "predictions_total", label="Faulty")
        console.print(
            f"[dim]          {_total(daemon, 'readings_total', all_labels=True):,} readings, "
            f"{_total(daemon, 'readings_total', outcome='judged'):,} windows judged, {faulty:,} Faulty, "
            f"{_total(daemon, 'alerts_firing'):,} alerts firing[/]"
        )


def _print_card(console: Console, card: ScoreCard, daemon: Daemon) -> None:
    if not card.injected:
        console.print("There was no fault in what was replayed.")
    table = Table(title="Score card", show_header=False)
    table.add_row("windows judged", f"{_total(daemon, 'readings_total', outcome='judged'):,}")
    table.add_row("faults injected", f"{card.injected}")
    table.add_row("found", f"[green]{card.found}[/]")
    table.add_row("missed", f"[{'red' if card.missed else 'green'}]{card.missed}[/]")
    table.add_row("false alarms", f"[{'red' if card.false_alarms else 'green'}]{card.false_alarms}[/]")
    if card.delay is not None:
        table.add_row("fault to alert, median", f"{card.delay:.0f} s of plant time")
    console.print(table)


def _total(daemon: Daemon, name: str, *, all_labels: bool = False, **labels: str) -> int:
    """Read a metric of the daemon, or the sum over its labels."""
    full = f"sensor_monitor_{name}"
    if not all_labels:
        return int(daemon.registry.get_sample_value(full, labels) or 0)
    samples = (sample for metric in daemon.registry.collect() for sample in metric.samples)
    return int(sum(sample.value for sample in samples if sample.name == full))


def _wait_for(condition: Callable[[], bool]) -> None:
    """Give what is under way a while to arrive."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
