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
from monitor.cli.demo.scorecard import ScoreCard, faults, incidents, score
from monitor.cli.replay import Replayer
from monitor.config import loading
from monitor.config.settings import Settings
from monitor.core.errors import FailedError, InUseError, UnusableError
from monitor.core.messages import Asked, Delivery, Read
from monitor.core.times import iso
from monitor.core.topics import Template
from monitor.mqtt import Session
from monitor.recordings.reader import Recording
from monitor.service.daemon import Daemon
from monitor.telemetry.logs import set_up

__all__ = ["run"]

# A plant that reports every 5 s then sends 12 readings a second and station: an hour passes in a minute.
_SPEED = 60.0
_TOTALS_EVERY = 5.0  # seconds
# How long the end of the demo waits for what is still under way, in seconds.
_PATIENCE = 5.0


def run(bundle: Path, recording: Path, seconds: float | None, stop: threading.Event) -> None:
    """Show the monitor at work until the recording ends, `seconds` have passed or `stop` is set.

    Raises
    ------
    UnusableError : bundle or recording can't be used.
    FailedError : the monitor died on the way.
    """
    if not (bundle.exists() and recording.exists()):
        missing = recording if bundle.exists() else bundle
        raise UnusableError(
            f"demo: {missing} is missing; `make demo` makes both, or give --bundle and --recording"
        )
    with TemporaryDirectory(prefix="sensor-monitor-demo-") as folder:
        _show(bundle, Recording(recording), seconds, stop, Path(folder) / "state.db")


def _show(bundle: Path, plant: Recording, seconds: float | None, stop: threading.Event, store: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    broker = EmbeddedBroker()
    broker.start()
    daemon, settings = _daemon(bundle, broker, store)
    daemon.start()
    spectator = _Spectator(console, settings)
    spectator.start()
    _wait(lambda: daemon.ready)  # what the plant says before is nobody's: the broker is as new as all else
    replayer = Replayer(plant, [Template(text) for text in settings.input.topics], {}, _SPEED)
    replaying = _start_replay(replayer, settings, stop)

    console.print(
        f"[bold]plant[/]    {plant.path}, {_SPEED:.0f} times real speed, over MQTT on port {broker.port}"
    )
    console.print(f"[bold]page[/]     {daemon.address}/")
    console.print(f"[bold]metrics[/]  {daemon.address}/metrics")
    console.print("Ctrl-C ends it and shows the score card. Times below are the plant's.\n")
    _watch(console, daemon, replaying, seconds, stop)

    stop.set()
    replaying.join()
    _wait(lambda: _total(daemon, "readings_total", all_labels=True) >= replayer.published)
    daemon.stop()
    _wait(lambda: len(spectator.events) >= _total(daemon, "alerts_total", all_labels=True))
    spectator.stop()
    broker.stop()
    played = islice(plant.rows(), replayer.published)
    card = score(faults(played, daemon.steps), incidents(spectator.events))
    _print_card(console, card, daemon)
    daemon.request_stop()
    if daemon.run():
        raise FailedError("demo: the monitor died; the log above says why")


def _daemon(bundle: Path, broker: EmbeddedBroker, store: Path) -> tuple[Daemon, Settings]:
    """Build the daemon for this broker, on the usual HTTP port if that is free."""
    flags: dict[str, Any] = {
        "bundle": bundle,
        "mqtt": {"host": broker.host, "port": broker.port},
        "store": {"path": store},
        "log": {"level": "error"},  # the alerts are shown as they come over MQTT
    }
    settings = loading.load(None, flags)
    set_up(settings.log.level, settings.log.format)
    try:
        return Daemon(settings), settings
    except InUseError:  # of its port: the store is new
        pass
    settings = loading.load(None, {**flags, "http": {"port": 0}})
    return Daemon(settings), settings


class _Spectator:
    """Subscribes to the alerts as any other program would, and prints them."""

    def __init__(self, console: Console, settings: Settings) -> None:
        self._console = console
        self._ready = threading.Event()
        self.events: list[dict[str, Any]] = []
        self._alerts = f"{settings.mqtt.base_topic}/alerts/"
        filters = [f"{self._alerts}#"]
        self._session = Session(settings.mqtt, "sensor-demo-spectator", None, self, filters=filters)

    def start(self) -> None:
        self._session.start()
        self._ready.wait(_PATIENCE)

    def stop(self) -> None:
        self._session.stop(timeout=1.0)

    def connected(self) -> None:
        self._ready.set()

    def disconnected(self, reason: str) -> None:
        self._console.print(f"spectator: {reason}")

    def taken_over(self) -> None:
        self.disconnected("another client has taken over the client id")

    def publish_refused(self) -> None:
        """Hear nothing: nothing is published."""

    def received(self, messages: Sequence[Delivery], read: Read | None) -> None:  # noqa: ARG002, it never waits
        for topic, payload, receipt, _ in messages:
            self._session.acknowledge([receipt])
            self._show(topic, payload)

    def _show(self, topic: str, payload: bytes) -> None:
        if not topic.startswith(self._alerts):
            return  # amqtt now and then hands a client what another asked for
        event = json.loads(payload)
        self.events.append(event)
        colour, sign = ("red", "!") if event["status"] == "firing" else ("green", "-")
        moment = iso(event["window"]["ts"][-1])[11:19]
        latest = " ".join(f"{value:.2f}" for value in event["window"]["values"][-1])
        self._console.print(
            f"{moment}  [{colour}]{sign} {event['status']:<8}[/] {event['group']:<16} "
            f"score {event['score']:.3f}  {event['reason'] or latest}"
        )

    def requested(self, asked: Asked) -> None:
        """Hear nothing: no requests are subscribed to."""


def _start_replay(replayer: Replayer, settings: Settings, stop: threading.Event) -> threading.Thread:
    session = Session(settings.mqtt, "sensor-demo-plant", None, replayer)
    thread = threading.Thread(
        target=replayer.run, args=(session, settings.mqtt.qos, stop), name="plant", daemon=True
    )
    thread.start()
    return thread


def _watch(
    console: Console,
    daemon: Daemon,
    replaying: threading.Thread,
    seconds: float | None,
    stop: threading.Event,
) -> None:
    """Print a line of totals now and then until it is over."""
    deadline = time.monotonic() + (seconds if seconds is not None else float("inf"))
    while replaying.is_alive() and not daemon.ended and not stop.is_set():
        left = deadline - time.monotonic()
        if left <= 0:
            return
        stop.wait(min(_TOTALS_EVERY, left))
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


def _wait(condition: Callable[[], bool]) -> None:
    """Give what is under way a while to arrive."""
    deadline = time.monotonic() + _PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
