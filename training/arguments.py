"""The command line of `sensor-training`: its commands, flags and their defaults."""

import argparse
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from training import lwsndr, simulate
from training.faults import KINDS
from training.settings import FitSettings

__all__ = ["parser"]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses has the command's name as `command`."""
    whole = _Parser(prog="sensor-training", description="Makes the bundle that the monitor loads.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _import(commands.add_parser("import", help="make a recording of files of another form"))
    _simulate(commands.add_parser("simulate", help="make a recording of a plant that isn't there"))
    _inject(commands.add_parser("inject", help="put known faults into healthy readings"))
    _fit(commands.add_parser("fit", help="train on recordings and write the bundle"))
    return whole


def _import(command: argparse.ArgumentParser) -> None:
    forms = command.add_subparsers(dest="form", required=True, metavar="FORM")
    form = forms.add_parser("lwsndr", help="two motes of LWSNDR, joined by reading number")
    form.add_argument("mote_a", type=Path, metavar="MOTE_A.txt")
    form.add_argument("mote_b", type=Path, metavar="MOTE_B.txt")
    _out(form)
    form.add_argument("--group", help="the pair's name (default: lwsndr/motes<a>-<b>)")
    form.add_argument(
        "--start",
        type=_time,
        default=lwsndr.DEFAULT_START,
        help="when reading number 1 was taken, ISO 8601 (default: %(default)s)",
    )


def _simulate(command: argparse.ArgumentParser) -> None:
    _out(command)
    command.add_argument("--groups", type=_count, default=6, help="pairs of motes (default: %(default)s)")
    command.add_argument(
        "--hours", type=_above_zero, default=6.0, help="length of the recording (default: %(default)s)"
    )
    command.add_argument(
        "--from-hour",
        type=_at_least_zero,
        default=0.0,
        help="hour of the plant's time at which it begins; from where another recording of the same plant "
        "ends, it holds what that one hasn't seen (default: %(default)s)",
    )
    command.add_argument(
        "--start",
        type=_time,
        default=simulate.DEFAULT_START,
        help="when the plant's hour 0 is, ISO 8601 (default: %(default)s)",
    )
    _seed(command, "the same seed is the same plant and weather")


def _inject(command: argparse.ArgumentParser) -> None:
    command.add_argument("recording", type=Path, metavar="RECORDING")
    _out(command)
    command.add_argument(
        "--rate", type=_share, default=0.3, help="share of the readings to make faulty (default: %(default)s)"
    )
    command.add_argument(
        "--kinds",
        nargs="+",
        choices=list(KINDS),
        default=list(KINDS),
        metavar="KIND",
        help=f"some of: {' '.join(KINDS)} (default: all)",
    )
    _seed(command, "the same seed gives the same faults")


def _fit(command: argparse.ArgumentParser) -> None:
    default = FitSettings()
    command.add_argument(
        "--recording",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="F",
        help="labelled recordings, as `inject` writes them",
    )
    command.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="folder to write")
    command.add_argument(
        "--test-share",
        type=_share,
        default=default.test_share,
        help="share of each group's time, at its end, kept for the test (default: %(default)s)",
    )
    command.add_argument(
        "--epochs",
        type=_count,
        default=default.epochs,
        help="passes over the training part (default: %(default)s)",
    )
    command.add_argument(
        "--batch-size",
        type=_count,
        default=default.batch_size,
        help="windows between two updates (default: %(default)s)",
    )
    command.add_argument(
        "--learning-rate",
        type=_above_zero,
        default=default.learning_rate,
        help="Adam's, at the start (default: %(default)s)",
    )
    _seed(command, "of weights, dropout and the order of windows")


def _out(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=Path, required=True, metavar="F", help="recording to write, .csv or .parquet"
    )


def _seed(command: argparse.ArgumentParser, meaning: str) -> None:
    command.add_argument("--seed", type=_seed_number, default=0, help=f"{meaning} (default: %(default)s)")


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an ISO 8601 time, not {text!r}") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _number(rule: str, holds: Callable[[float], bool]) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and holds(number)):
            raise argparse.ArgumentTypeError(f"must be {rule}, not {text!r}")
        return number

    return convert


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}, not {text!r}")
        return int(text)

    return convert


_above_zero = _number("a number above 0", lambda number: number > 0)
_at_least_zero = _number("a number of at least 0", lambda number: number >= 0)
_share = _number("at least 0 and below 1", lambda number: 0 <= number < 1)
_count = _whole_number(1, 1_000_000)
_seed_number = _whole_number(0, 2**32 - 1)
