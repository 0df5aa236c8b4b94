"""Flags of several commands, and the functions that parse their values."""

import argparse
import math
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from training.config.effect import check_effect
from training.config.loading import load_settings
from training.config.settings import FitSettings

__all__ = [
    "add_bundle",
    "add_config",
    "add_out",
    "add_recordings",
    "add_seed",
    "add_settings",
    "add_training_data",
    "parse_count",
    "parse_folder",
    "parse_iso_time",
    "parse_non_negative_number",
    "parse_positive_number",
    "parse_share",
    "read_settings",
]

_HELP = {
    "steps": "readings in a window",
    "network": "lstm, dense or sensor-lstm",
    "units": "of the three hidden layers",
    "dropout": "after the first and the second hidden layer",
    "kernel_initializer": "initial weights, of all layers or four for one each, as in "
    "'glorot_uniform,glorot_uniform,he_normal,random_normal(0.0,0.1)'",
    "recurrent_initializer": "initial recurrent weights of an LSTM, one or two",
    "epochs": "most passes over the training part",
    "patience": "epochs without a lower validation loss until training stops",
    "batch_size": "windows between two updates",
    "learning_rate": "Adam's, at the start",
    "class_weight": "balanced, none, or two numbers for Normal and Faulty",
    "baseline": "group (judge each group by its own baseline) or none",
    "joint_shift": "how far all sensors of a quantity are shifted together in training, in spreads",
    "split": "time (the end of each group's time) or random (shares readings with the test)",
    "test_share": "share of the windows that is kept for the test",
    "validation_share": "share of the rest that decides when to stop",
    "cleaning_factor": "interquartile ranges outside the quartiles that make an outlier",
    "cleaning_scope": "windows that lose outliers: off, normal or all",
    "sample_period": "seconds between two readings, for --windows",
    "seed": "of weights, dropout, order and the random split",
}


def add_bundle(command: argparse.ArgumentParser, help_text: str) -> None:
    """Add the required flag `--bundle`."""
    command.add_argument("--bundle", type=parse_folder, required=True, metavar="DIR", help=help_text)


def add_recordings(
    command: argparse.ArgumentParser, help_text: str, *, flag: str = "--recording", required: bool = False
) -> None:
    """Add a repeatable flag for one or more recordings; the default is an empty list."""
    command.add_argument(
        flag,
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        required=required,
        metavar="F",
        help=help_text,
    )


def add_training_data(command: argparse.ArgumentParser) -> None:
    """Add `--recording` and `--windows`, the labelled data to train on."""
    add_recordings(command, "labelled recordings, as `inject` writes them")
    command.add_argument(
        "--windows",
        type=Path,
        metavar="F.csv",
        help="labelled windows: a column for each feature at each step, and Label, in time order",
    )


def add_config(command: argparse.ArgumentParser) -> None:
    """Add `--config`, the file with the settings."""
    command.add_argument(
        "--config", type=Path, metavar="F.toml", help="settings and features, as in config/training.toml"
    )


def add_settings(command: argparse.ArgumentParser) -> None:
    """Add `--config` and a flag for each setting but the features; `read_settings` reads them."""
    add_config(command)
    default = FitSettings()
    for name, help_text in _HELP.items():
        value = getattr(default, name)
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
        command.add_argument(
            f"--{name.replace('_', '-')}", metavar="V", help=f"{help_text} (default: {shown})"
        )


def read_settings(arguments: argparse.Namespace, searched: Collection[str] = ()) -> FitSettings:
    """Load the settings of a command with the flags of `add_training_data` and `add_settings`.

    Parameters
    ----------
    searched : settings that the command replaces by its own values.

    Raises
    ------
    ConfigurationError : a setting is unknown or has an invalid value.
    InvalidInputError : a setting has no effect.
    """
    flags = {name: getattr(arguments, name) for name in _HELP if getattr(arguments, name) is not None}
    if not (arguments.recording or getattr(arguments, "healthy", None)):
        flags.setdefault("baseline", "none")  # a windows file lacks the readings for a baseline
    settings = load_settings(arguments.config, flags)
    check_effect(settings, has_windows_file=arguments.windows is not None, searched=searched)
    return settings


def add_out(command: argparse.ArgumentParser) -> None:
    """Add the required flag `--out`, the recording to write."""
    command.add_argument(
        "--out", type=Path, required=True, metavar="F", help="recording to write, .csv or .parquet"
    )


def add_seed(command: argparse.ArgumentParser, help_text: str) -> None:
    """Add `--seed`, 0 by default."""
    command.add_argument("--seed", type=_parse_seed, default=0, help=f"{help_text} (default: %(default)s)")


def parse_folder(text: str) -> Path:
    """Parse the path of a folder.

    An empty text, such as the value of an unset shell variable, is rejected: it would mean the working
    directory.
    """
    if not text:
        raise argparse.ArgumentTypeError("must name a folder, not ''")
    return Path(text)


def parse_iso_time(text: str) -> datetime:
    """Parse an ISO 8601 time; a time without zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an ISO 8601 time, not {text!r}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bounded_number(rule: str, is_valid: Callable[[float], bool]) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and is_valid(number)):
            raise argparse.ArgumentTypeError(f"must be {rule}, not {text!r}")
        return number

    return convert


def _bounded_integer(minimum: int, maximum: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and minimum <= int(text) <= maximum):
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {minimum} to {maximum}, not {text!r}"
            )
        return int(text)

    return convert


parse_positive_number = _bounded_number("a number above 0", lambda number: number > 0)
parse_non_negative_number = _bounded_number("a number of at least 0", lambda number: number >= 0)
parse_share = _bounded_number("at least 0 and below 1", lambda number: 0 <= number < 1)
parse_count = _bounded_integer(1, 1_000_000)
_parse_seed = _bounded_integer(0, 2**32 - 1)
