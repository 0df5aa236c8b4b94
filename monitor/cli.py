"""The command `sensor-monitor`: parse, build, run, exit code."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from monitor import __version__
from monitor.errors import FailedError, UnusableError

if TYPE_CHECKING:
    from monitor.settings import Settings

__all__ = ["main"]

# The commands import what they need when they run, so that --help and mistakes answer at once.
# ruff: noqa: PLC0415

_DONE, _FAILED, _UNUSABLE = 0, 1, 2
_INTERRUPTED = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 failed while running, 2 can't be used as given."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except (UnusableError, FailedError) as error:
        print(f"sensor-monitor: {error}", file=sys.stderr)
        return _UNUSABLE if isinstance(error, UnusableError) else _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _DONE


def _run(arguments: argparse.Namespace) -> int:
    from monitor.allocator import steady

    steady()  # before all that takes memory

    from monitor.configuration import load
    from monitor.daemon import Daemon
    from monitor.logs import set_up

    def read_settings() -> "Settings":
        return load(arguments.config, _flags(arguments))

    settings = read_settings()
    set_up(settings.log)
    daemon = Daemon(settings, read_settings)
    _on_signal(daemon.request_stop)
    _on_signal(daemon.reload, signal.SIGHUP)
    daemon.start()
    exit_code = daemon.run()
    daemon.stop()
    return exit_code


def _check(arguments: argparse.Namespace) -> int:
    from monitor.check import check_connection, check_files
    from monitor.configuration import load

    settings = load(arguments.config, _flags(arguments))
    found = check_files(settings)
    print(f"settings {arguments.config or '(defaults)'}: ok\n{found}")
    if arguments.connect:
        check_connection(settings)
        print(f"broker {settings.mqtt.host}:{settings.mqtt.port}: ok")
    return _DONE


def _replay(arguments: argparse.Namespace) -> int:
    from monitor.configuration import load, password
    from monitor.logs import set_up
    from monitor.mqtt import Session
    from monitor.recording import Recording
    from monitor.replay import Replayer
    from monitor.topics import Template

    settings = load(arguments.config)
    set_up(settings.log)
    stop = threading.Event()
    _on_signal(stop.set)
    templates = [Template(text) for text in settings.input.topics]
    replayer = Replayer(
        Recording(arguments.recording), templates, settings.input.fields, speed=arguments.speed
    )
    session = Session(settings.mqtt, f"sensor-replay-{os.getpid()}", password(settings.mqtt), replayer)
    replayer.run(session, settings.mqtt.qos, stop)
    print(f"published {replayer.published:,} readings")
    if replayer.unreadable:
        print(f"not all of them can be judged; the first: {replayer.unreadable}")
    return _INTERRUPTED if stop.is_set() else _DONE


def _backtest(arguments: argparse.Namespace) -> int:
    from monitor import bundle
    from monitor.backtest import backtest
    from monitor.configuration import load, propose
    from monitor.recording import Recording

    settings = load(arguments.config, _flags(arguments))
    proposed = propose(settings.alerts, arguments.propose) if arguments.propose else None
    report = backtest(
        bundle.load(settings.bundle),
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
        from monitor.demo.show import run
    except ModuleNotFoundError as error:
        raise UnusableError(f"the demo needs {error.name}: install sensor-monitor[demo]") from error

    stop = threading.Event()
    _on_signal(stop.set)
    run(arguments.bundle, arguments.recording, arguments.seconds, stop)
    return _DONE


def _flags(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the settings that the command line gives."""
    return {"bundle": arguments.bundle} if arguments.bundle else {}


def _on_signal(act: Callable[[], object], *numbers: signal.Signals) -> None:
    """Let these signals, or SIGTERM and SIGINT, do this and nothing else.

    In a thread of its own: the handler interrupts the main thread anywhere, also where it holds the lock of
    the very event that is to be set.
    """
    for number in numbers or (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=act).start())


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(_UNUSABLE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("sensor-monitor", description="Says which of a plant's sensors can still be believed.")
    parser.add_argument("--version", action="version", version=f"sensor-monitor {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], int], help_: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_, description=help_)
        added.set_defaults(command=command)
        return added

    def add_settings(command: argparse.ArgumentParser, *, bundle: bool = True) -> None:
        command.add_argument("--config", type=Path, metavar="F", help="TOML file with settings")
        if bundle:
            command.add_argument("--bundle", type=Path, metavar="DIR", help="instead of the settings' bundle")

    run = add("run", _run, "Judge what arrives over MQTT until stopped.")
    add_settings(run)

    check = add("check", _check, "Verify settings and bundle without starting.")
    add_settings(check)
    check.add_argument("--connect", action="store_true", help="try the broker too")

    replay = add("replay", _replay, "Publish a recording as if the plant sent it now.")
    replay.add_argument("recording", type=Path, metavar="RECORDING")
    add_settings(replay, bundle=False)
    replay.add_argument(
        "--speed",
        type=_not_negative,
        default=1.0,
        metavar="X",
        help="times real speed; 0 is flat out (default: 1)",
    )

    backtest = add("backtest", _backtest, "Judge a recording with the daemon's own stages.")
    add_settings(backtest)
    backtest.add_argument("--recording", type=Path, required=True, metavar="F")
    backtest.add_argument("--out", type=Path, required=True, metavar="SCORES.CSV", help="one row a reading")
    backtest.add_argument("--alerts-out", type=Path, metavar="EVENTS.JSONL", help="one line an alert event")

    backtest.add_argument(
        "--propose",
        nargs="+",
        action="extend",
        metavar="NAME=VALUE",
        help="other alert settings, such as raise_after=3: what would change with them",
    )

    demo = add("demo", _demo, "Run broker, replayed plant and monitor in one process, and keep score.")
    demo.add_argument("--bundle", type=Path, default=Path("var/demo/bundle"), metavar="DIR")
    demo.add_argument("--recording", type=Path, default=Path("var/demo/plant.csv"), metavar="F")
    demo.add_argument(
        "--seconds", type=_not_negative, metavar="N", help="stop after this long (default: Ctrl-C)"
    )
    return parser


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {text}")
    return value
