"""`sensor-training simulate`: makes a recording of a simulated plant."""

import argparse

from training.cli import flags
from training.config.loading import load_settings
from training.data import recordings
from training.data.plant_kinds import DEFAULT_KIND, PLANT_KINDS
from training.data.simulate import DEFAULT_START, Plant, simulate

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add the arguments: the plant's kind, size, time and seed."""
    flags.add_out(command)
    flags.add_config(command)
    command.add_argument(
        "--kind",
        choices=list(PLANT_KINDS),
        default=DEFAULT_KIND,
        metavar="KIND",
        help=f"one of: {' '.join(PLANT_KINDS)} (default: %(default)s)",
    )
    command.add_argument(
        "--groups", type=flags.parse_count, default=6, help="groups of sensors (default: %(default)s)"
    )
    command.add_argument(
        "--hours",
        type=flags.parse_positive_number,
        default=6.0,
        help="length of the recording (default: %(default)s)",
    )
    command.add_argument(
        "--from-hour",
        type=flags.parse_non_negative_number,
        default=0.0,
        help="hour of the plant's time at which the recording begins; begin where another recording of the "
        "same plant ends for readings that are not in it (default: %(default)s)",
    )
    command.add_argument(
        "--start",
        type=flags.parse_iso_time,
        default=DEFAULT_START,
        help="when the plant's hour 0 is, ISO 8601 (default: %(default)s)",
    )
    flags.add_seed(command, "the same seed is the same plant and weather")


def run(arguments: argparse.Namespace) -> str:
    """Write the recording; return a text with the number of readings."""
    features = load_settings(arguments.config).bundle_features
    plant = Plant(arguments.groups, arguments.seed, arguments.start, features, arguments.kind)
    frame = simulate(plant, arguments.from_hour, arguments.hours)
    recordings.write(frame, arguments.out)
    return f"{arguments.out}: {len(frame)} readings of {arguments.groups} groups"
