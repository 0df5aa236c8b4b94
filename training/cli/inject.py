"""`sensor-training inject`: injects faults into healthy readings and labels them."""

import argparse
from pathlib import Path

from monitor.core.errors import InvalidInputError
from training.cli import flags
from training.config.loading import load_settings
from training.data import recordings
from training.faults.fault_kinds import DEFAULT_FAULT_KINDS, FAULT_KINDS
from training.faults.inject import inject

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add the arguments: recordings to read and write, share and fault kinds, seed."""
    command.add_argument("recording", type=Path, metavar="RECORDING")
    flags.add_out(command)
    flags.add_config(command)
    command.add_argument(
        "--rate",
        type=flags.parse_share,
        default=0.3,
        help="share of the readings to make faulty (default: %(default)s)",
    )
    command.add_argument(
        "--kinds",
        nargs="+",
        choices=list(FAULT_KINDS),
        default=list(DEFAULT_FAULT_KINDS),
        metavar="KIND",
        help=f"some of: {' '.join(FAULT_KINDS)} (default: {' '.join(DEFAULT_FAULT_KINDS)})",
    )
    flags.add_seed(command, "the same seed gives the same faults")


def run(arguments: argparse.Namespace) -> str:
    """Write the faulty recording; return a text with the number of readings of each fault kind.

    Raises
    ------
    InvalidInputError : the recording cannot be read or has faults already, or `--out` is the same file.
    """
    if arguments.out.resolve() == arguments.recording.resolve():
        raise InvalidInputError(f"--out: {arguments.out} is the recording itself; expected a file of its own")
    settings = load_settings(arguments.config)
    frame = recordings.read(arguments.recording, settings.feature_names)
    recordings.check_complete(arguments.recording, frame, settings.feature_names)
    try:
        faulty_frame = inject(
            frame, settings.bundle_features, arguments.rate, arguments.seed, arguments.kinds
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{arguments.recording}: {error}") from error
    recordings.write(faulty_frame, arguments.out)
    share = (faulty_frame["label"] == recordings.FAULTY_LABEL).mean()
    counts = faulty_frame["kind"].value_counts()
    kinds = ", ".join(f"{kind} {counts.get(kind, 0)}" for kind in arguments.kinds)
    return f"{arguments.out}: {len(faulty_frame)} readings, {share:.1%} faulty ({kinds})"
