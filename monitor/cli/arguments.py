"""Arguments that several commands take."""

import argparse
from pathlib import Path

__all__ = ["add_seconds_argument", "add_settings_arguments", "non_negative_float", "settings_from_flags"]


def add_settings_arguments(parser: argparse.ArgumentParser, *, bundle: bool = True) -> None:
    """Add `--config` and, unless `bundle` is false, `--bundle`."""
    parser.add_argument("--config", type=Path, metavar="F", help="TOML file with settings")
    if bundle:
        # Not a Path: Path("") is the current folder, but "" means the default bundle, as in the settings.
        parser.add_argument(
            "--bundle",
            metavar="DIR",
            help="instead of the settings' bundle; an empty one is the bundle that comes with the monitor",
        )


def settings_from_flags(arguments: argparse.Namespace) -> dict[str, Path | str]:
    """Return the settings given by flags, in the form that `load_settings` expects."""
    if arguments.bundle is None:
        return {}
    # The path is made absolute: a relative "var/bundle" would equal the setting's default, which the default
    # bundle replaces where that folder is missing. A folder named on the command line is never replaced.
    return {"bundle": Path(arguments.bundle).absolute() if arguments.bundle else ""}


def add_seconds_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--seconds`, the time after which the command stops."""
    parser.add_argument(
        "--seconds", type=non_negative_float, metavar="N", help="stop after this long (default: Ctrl-C)"
    )


def non_negative_float(text: str) -> float:
    """Parse a finite number of at least 0, as an argument's `type`."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number, 0 or more, not {text!r}")
    return value
