"""The command `sensor-monitor`: parse, build, run, exit code."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli.parser import Command, build_parser
from monitor.core.errors import InvalidInputError, OperationError

if TYPE_CHECKING:
    from monitor.config.settings import Settings

__all__ = ["main"]

# The commands import what they need when they run, so that --help and mistakes answer at once.
# ruff: noqa: PLC0415

_DONE, _FAILED, _UNUSABLE = 0, 1, 2
_INTERRUPTED = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 failed while running, 2 can't be used as given."""
    commands = {
        "run": _run, "check": _check, "replay": _replay, "record": _record, "backtest": _backtest,
        "demo": _demo,
    }  # fmt: skip
    arguments = build_parser(commands).parse_args(argv)
    command: Command = arguments.command
    try:
        return command(arguments)
    except (InvalidInputError, OperationError) as error:
        print(f"sensor-monitor: {error}", file=sys.stderr)
        return _UNUSABLE if isinstance(error, InvalidInputError) else _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _DONE


def _run(arguments: argparse.Namespace) -> int:
    from monitor.service.allocator import configure_allocator, freeze_startup_objects

    configure_allocator()  # before all that takes memory

    from monitor.config.loading import load_settings
    from monitor.service.builder import build_daemon
    from monitor.telemetry.logs import configure_logging

    def read_settings() -> "Settings":
        return load_settings(arguments.config, _settings_from_flags(arguments))

    settings = read_settings()
    configure_logging(settings.log.level, settings.log.format)
    daemon = build_daemon(settings, read_settings)
    _on_signal(daemon.request_stop)
    _on_signal(daemon.reload, signal.SIGHUP)
    freeze_startup_objects()
    daemon.start()
    exit_code = daemon.run()
    daemon.stop()
    return exit_code


def _check(arguments: argparse.Namespace) -> int:
    from monitor.cli.check import check_connection, check_files
    from monitor.config.loading import load_settings

    settings = load_settings(arguments.config, _settings_from_flags(arguments))
    found = check_files(settings)
    print(f"settings {arguments.config or '(defaults)'}: ok\n{found}")
    if arguments.connect:
        check_connection(settings)
        print(f"broker {settings.mqtt.host}:{settings.mqtt.port}: ok")
    return _DONE


def _replay(arguments: argparse.Namespace) -> int:
    from monitor.cli.replay import Replayer
    from monitor.config.loading import load_settings
    from monitor.config.secrets import read_password
    from monitor.core.topics import Template
    from monitor.mqtt import Session
    from monitor.recordings.reader import Recording
    from monitor.telemetry.logs import configure_logging

    settings = load_settings(arguments.config)
    configure_logging(settings.log.level, settings.log.format)
    stop = threading.Event()
    _on_signal(stop.set)
    templates = [Template(text) for text in settings.input.topics]
    replayer = Replayer(
        Recording(arguments.recording), templates, settings.input.fields, speed=arguments.speed
    )
    session = Session(settings.mqtt, f"sensor-replay-{os.getpid()}", read_password(settings.mqtt), replayer)
    replayer.run(session, settings.mqtt.qos, stop)
    print(f"published {replayer.published_count:,} readings")
    if replayer.first_problem:
        print(f"not all of them can be judged; the first: {replayer.first_problem}")
    return _INTERRUPTED if stop.is_set() else _DONE


def _record(arguments: argparse.Namespace) -> int:
    import secrets

    from monitor import bundle
    from monitor.bundle import default_bundle
    from monitor.cli.progress_line import ProgressLine
    from monitor.cli.record import Recorder
    from monitor.config.loading import load_settings
    from monitor.config.secrets import read_password
    from monitor.core.topics import Template
    from monitor.mqtt import Session, SessionOptions
    from monitor.service.stages import build_decoder
    from monitor.telemetry.logs import configure_logging

    settings = load_settings(arguments.config, _settings_from_flags(arguments))
    configure_logging(settings.log.level, settings.log.format)
    features = bundle.load(default_bundle.choose_folder(settings.bundle)).manifest.feature_names
    stop = threading.Event()
    _on_signal(stop.set)
    line = ProgressLine(sys.stderr)
    decode = build_decoder(settings, features)
    recorder = Recorder(
        arguments.out, decode, features, max_skew=settings.windows.max_skew, on_progress=line.show
    )
    filters = tuple(Template(text).filter for text in settings.input.topics)
    name = f"sensor-record-{secrets.token_hex(4)}"  # never the monitor's, whose session would be taken
    session = Session(settings.mqtt, name, read_password(settings.mqtt), recorder, SessionOptions(filters=filters))
    try:
        completed = recorder.run(session, stop, arguments.seconds)
    finally:
        line.close()
    if not recorder.written_count:
        print(f"{arguments.out}: not written, for it was stopped before there was a connection")
        return _INTERRUPTED
    print(f"{arguments.out}: {recorder}")
    return _DONE if completed or arguments.seconds is None else _INTERRUPTED


def _backtest(arguments: argparse.Namespace) -> int:
    from monitor import bundle
    from monitor.bundle import default_bundle
    from monitor.cli.backtest import backtest
    from monitor.config.loading import load_settings, override_alerts
    from monitor.recordings.reader import Recording

    settings = load_settings(arguments.config, _settings_from_flags(arguments))
    proposed = override_alerts(settings.alerts, arguments.propose) if arguments.propose else None
    report = backtest(
        bundle.load(default_bundle.choose_folder(settings.bundle)),
        settings,
        Recording(arguments.recording),
        arguments.out,
        arguments.alerts_out,
        proposed,
    )
    print(report)
    return _DONE


def _demo(arguments: argparse.Namespace) -> int:
    try:
        from monitor.cli.demo.runner import run
    except ModuleNotFoundError as error:
        raise InvalidInputError(f"the demo needs {error.name}: install sensor-monitor[demo]") from error

    stop = threading.Event()
    _on_signal(stop.set)
    run(arguments.bundle, arguments.recording, arguments.seconds, stop)
    return _DONE


def _settings_from_flags(arguments: argparse.Namespace) -> dict[str, Path | str]:
    """Return the settings that the command line gives."""
    if arguments.bundle is None:
        return {}
    # As a whole path it is no settings' default, in whose place another may stand.
    return {"bundle": Path(arguments.bundle).absolute() if arguments.bundle else ""}


def _on_signal(action: Callable[[], object], *signals: signal.Signals) -> None:
    """Let these signals, or SIGTERM and SIGINT, do this and nothing else.

    In a thread of its own: the handler interrupts the main thread anywhere, also where it holds the lock of
    the very event that is to be set.
    """
    for number in signals or (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=action).start())
