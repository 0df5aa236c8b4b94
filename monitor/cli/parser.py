"""The command line of `sensor-monitor`: its commands, what each takes, and what its help says."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from monitor import __version__
from monitor.cli.completion import add_completion

__all__ = ["Command", "build_parser"]

Command = Callable[[argparse.Namespace], int]

_SETTINGS = """
settings:
  A flag beats the environment (MONITOR_MQTT__HOST=broker), the environment beats
  the file of --config, and the file beats the default. config/monitor.toml has
  every setting with its default.
"""
_EXIT_CODES = """
exit codes:
  0 done, 1 failed for what may pass, such as a port in use or no broker, 2 wrong usage,
  settings or bundle, with one line on stderr that says what, where, and what was expected;
  130 interrupted.
"""


class _OneLineErrorParser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def build_parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """Return the parser; what it parses has the function that runs the command as `command`.

    Parameters
    ----------
    commands : the function of each command, by its name.
    """
    root_parser = _OneLineErrorParser(
        "sensor-monitor",
        description="Says which of a plant's sensors can still be believed.",
        epilog=_epilog("sensor-monitor run --config config/monitor.toml", "sensor-monitor run --help"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root_parser.add_argument("--version", action="version", version=f"sensor-monitor {__version__}")
    add_completion(root_parser)
    subparsers = root_parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, help_: str, more: str, *examples: str) -> argparse.ArgumentParser:
        command = subparsers.add_parser(
            name,
            help=help_,
            description=f"{help_}\n\n{more}",
            epilog=_epilog(*examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(command=commands[name])
        return command

    _add_run(add)
    _add_check(add)
    _add_replay(add)
    _add_record(add)
    _add_backtest(add)
    _add_demo(add)
    return root_parser


_AddCommand = Callable[..., argparse.ArgumentParser]


def _add_run(add: _AddCommand) -> None:
    run = add(
        "run",
        "Judge what arrives over MQTT until stopped.",
        "Reads the plant's topics, judges each window of readings, publishes alerts and\n"
        "states below the base topic, and answers HTTP. SIGTERM or Ctrl-C ends it and\n"
        "loses nothing; SIGHUP loads bundle and settings anew.",
        "sensor-monitor run --config config/monitor.toml",
        "MONITOR_MQTT__HOST=broker sensor-monitor run --bundle var/bundle",
    )
    _add_settings(run)


def _add_check(add: _AddCommand) -> None:
    check = add(
        "check",
        "Verify settings, bundle, store and port without starting.",
        "Says what is wrong with them, as `run` would, and opens no connection unless\n"
        "--connect asks for it. What a running monitor uses is left alone.",
        "sensor-monitor check --config config/monitor.toml",
        "sensor-monitor check --config config/monitor.toml --connect",
    )
    _add_settings(check)
    check.add_argument("--connect", action="store_true", help="try the broker too")


def _add_replay(add: _AddCommand) -> None:
    replay = add(
        "replay",
        "Publish a recording as a plant would send it.",
        "Each reading goes to the topic that the settings read its group from, with the\n"
        "recording's own times.",
        "sensor-monitor replay plant.csv --config config/monitor.toml",
        "sensor-monitor replay plant.csv --speed 60",
    )
    replay.add_argument("recording", type=Path, metavar="RECORDING", help="CSV or Parquet file")
    _add_settings(replay, bundle=False)
    replay.add_argument(
        "--speed",
        type=_non_negative_float,
        default=1.0,
        metavar="X",
        help="times real speed; 0 is flat out (default: 1)",
    )


def _add_record(add: _AddCommand) -> None:
    record = add(
        "record",
        "Write what the plant sends into a recording, beside a running monitor.",
        "Listens as a client of its own, publishes nothing, and writes what a monitor with\n"
        "these settings would take in. Ctrl-C ends it; whenever it ends, the file is whole.",
        "sensor-monitor record --out plant.csv --config config/monitor.toml",
        "sensor-monitor record --out plant.csv --seconds 1860",
    )
    record.add_argument(
        "--out", type=Path, required=True, metavar="F.csv", help="a file that isn't there yet"
    )
    _add_settings(record)
    record.add_argument(
        "--seconds", type=_non_negative_float, metavar="N", help="stop after this long (default: Ctrl-C)"
    )


def _add_backtest(add: _AddCommand) -> None:
    backtest = add(
        "backtest",
        "Judge a recording with the daemon's own stages.",
        "Needs no broker. Writes what the daemon would have said of each reading, and\n"
        "with --alerts-out the alerts that it would have sent; prints alerts a day.",
        "sensor-monitor backtest --bundle var/bundle --recording plant.csv --out scores.csv",
        "sensor-monitor backtest --recording plant.csv --out scores.csv --alerts-out events.jsonl",
        "sensor-monitor backtest --recording plant.csv --out scores.csv --propose raise_after=3",
    )
    _add_settings(backtest)
    backtest.add_argument("--recording", type=Path, required=True, metavar="F", help="CSV or Parquet file")
    backtest.add_argument("--out", type=Path, required=True, metavar="SCORES.CSV", help="one row a reading")
    backtest.add_argument("--alerts-out", type=Path, metavar="EVENTS.JSONL", help="one line an alert event")
    backtest.add_argument(
        "--propose",
        nargs="+",
        action="extend",
        metavar="NAME=VALUE",
        help="other alert settings, such as raise_after=3: what would change with them",
    )


def _add_demo(add: _AddCommand) -> None:
    demo = add(
        "demo",
        "Run broker, replayed plant and monitor in one process, and keep score.",
        "Needs sensor-monitor[demo]. `make demo` makes bundle and recording first.",
        "sensor-monitor demo --seconds 60",
        "sensor-monitor demo --bundle var/bundle --recording faulty.csv",
    )
    demo.add_argument(
        "--bundle", type=Path, default=Path("var/demo/bundle"), metavar="DIR", help="(default: %(default)s)"
    )
    demo.add_argument(
        "--recording",
        type=Path,
        default=Path("var/demo/plant.csv"),
        metavar="F",
        help="(default: %(default)s)",
    )
    demo.add_argument(
        "--seconds", type=_non_negative_float, metavar="N", help="stop after this long (default: Ctrl-C)"
    )


def _add_settings(command: argparse.ArgumentParser, *, bundle: bool = True) -> None:
    command.add_argument("--config", type=Path, metavar="F", help="TOML file with settings")
    if bundle:
        # As text: an empty one is no folder but means what it means in the settings.
        command.add_argument(
            "--bundle",
            metavar="DIR",
            help="instead of the settings' bundle; an empty one is the bundle that comes with the monitor",
        )
    command.epilog = f"{command.epilog}{_SETTINGS}"


def _epilog(*examples: str) -> str:
    lines = "".join(f"  {example}\n" for example in examples)
    return f"examples:\n{lines}{_EXIT_CODES}"


def _non_negative_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number, 0 or more, not {text!r}")
    return value
