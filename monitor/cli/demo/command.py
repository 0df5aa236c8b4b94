"""`sensor-monitor demo`: show the monitor at work."""

import argparse
from pathlib import Path

from monitor.cli import exit_codes
from monitor.cli.arguments import add_seconds_argument
from monitor.cli.signals import stop_event
from monitor.core.errors import InvalidInputError

SUMMARY = "Run broker, replayed plant and monitor in one process, and count the faults found."
DETAILS = "Needs sensor-monitor[demo]. `make demo` makes bundle and recording first."
EXAMPLES = (
    "sensor-monitor demo --seconds 60",
    "sensor-monitor demo --bundle var/bundle --recording faulty.csv",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--bundle", type=Path, default=Path("var/demo/bundle"), metavar="DIR", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--recording",
        type=Path,
        default=Path("var/demo/plant.csv"),
        metavar="F",
        help="(default: %(default)s)",
    )
    add_seconds_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo until the recording ends, `--seconds` have passed or a signal arrives."""
    try:
        from monitor.cli.demo.runner import run_demo
    except ModuleNotFoundError as error:
        raise InvalidInputError(f"the demo needs {error.name}: install sensor-monitor[demo]") from error

    run_demo(arguments.bundle, arguments.recording, arguments.seconds, stop_event())
    return exit_codes.SUCCESS
