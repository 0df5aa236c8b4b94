"""Runs the parts of the demo in one process and prints their activity."""

import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from monitor.cli.demo.alert_printer import AlertPrinter
from monitor.cli.demo.broker import EmbeddedBroker
from monitor.cli.demo.scorecard import ScoreCard, collect_incidents, find_faults, score_incidents
from monitor.cli.replayed_messages import ReadingMessages
from monitor.cli.replayer import Replayer
from monitor.config import loading
from monitor.config.settings import Settings
from monitor.core.errors import InUseError, InvalidInputError, OperationError
from monitor.core.topics import Template
from monitor.mqtt import Session
from monitor.recordings.reader import Recording
from monitor.service.builder import build_daemon
from monitor.service.daemon import Daemon
from monitor.telemetry.logs import configure_logging

__all__ = ["run_demo"]

# A station that reports every 5 s then sends 12 readings a second: an hour of the plant passes in a minute.
_REPLAY_SPEED = 60.0
_TOTALS_INTERVAL_S = 5.0
# Seconds that the demo waits at its start and end for messages that are being delivered.
_TIMEOUT_S = 5.0


def run_demo(bundle: Path, recording: Path, seconds: float | None, stop: threading.Event) -> None:
    """Show the monitor at work until the recording ends, `seconds` have passed or `stop` is set.

    Raises
    ------
    InvalidInputError : bundle or recording can't be used.
    OperationError : a thread of the daemon failed.
    """
    if not (bundle.exists() and recording.exists()):
        missing = recording if bundle.exists() else bundle
        raise InvalidInputError(
            f"demo: {missing} is missing; `make demo` makes both, or give --bundle and --recording"
        )
    with TemporaryDirectory(prefix="sensor-monitor-demo-") as folder:
        _run_parts(bundle, Recording(recording), seconds, stop, Path(folder) / "state.db")


def _run_parts(
    bundle: Path, recording: Recording, seconds: float | None, stop: threading.Event, store_path: Path
) -> None:
    """Start broker, daemon, alert printer and replay; stop them in an order in which no alert is lost."""
    console = Console(highlight=False, soft_wrap=True)
    broker = EmbeddedBroker()
    broker.start()
    daemon, settings = _build_daemon(bundle, broker, store_path)
    daemon.start()
    alert_printer = AlertPrinter(console, settings)
    alert_printer.start()
    # The new broker has no session of the daemon yet: it drops readings published before the subscription.
    _wait_for(lambda: daemon.ready)
    templates = [Template(text) for text in settings.input.topics]
    replayer = Replayer(ReadingMessages(recording, templates, {}), _REPLAY_SPEED)
    replay_thread = _start_replay(replayer, settings, stop)

    speed = f"{_REPLAY_SPEED:.0f} times real speed"
    console.print(f"[bold]plant[/]    {recording.path}, {speed}, over MQTT on port {broker.port}")
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
    """Build the daemon for this broker, on the default HTTP port or, if that is in use, on a free port."""
    flags: dict[str, Any] = {
        "bundle": bundle,
        "mqtt": {"host": broker.host, "port": broker.port},
        "store": {"path": store_path},
        "log": {"level": "error"},  # AlertPrinter shows the alerts
    }
    settings = loading.load_settings(None, flags)
    configure_logging(settings.log.level, settings.log.format)
    try:
        return build_daemon(settings), settings
    except InUseError:  # the HTTP port: the store is new, so no other process uses it
        pass
    settings = loading.load_settings(None, {**flags, "http": {"port": 0}})
    return build_daemon(settings), settings


def _start_replay(replayer: Replayer, settings: Settings, stop: threading.Event) -> threading.Thread:
    session = Session(settings.mqtt, "sensor-demo-plant", replayer)
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
    """Print the totals every few seconds until replay or daemon end, the time is over or `stop` is set."""
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
    """Return the value of a metric of the daemon with these labels, or its sum over all labels."""
    full = f"sensor_monitor_{name}"
    if not all_labels:
        return int(daemon.registry.get_sample_value(full, labels) or 0)
    samples = (sample for metric in daemon.registry.collect() for sample in metric.samples)
    return int(sum(sample.value for sample in samples if sample.name == full))


def _wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true, at most `_TIMEOUT_S`."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
