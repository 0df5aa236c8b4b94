"""`sensor-training import`: makes a recording from files in another format."""

import argparse
from pathlib import Path

from monitor.core.printable import printable
from training.cli import flags
from training.data import lwsndr, recordings

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add a subcommand for each format."""
    formats = command.add_subparsers(dest="format", required=True, metavar="FORMAT")
    lwsndr_format = formats.add_parser("lwsndr", help="two motes of LWSNDR, joined by reading number")
    lwsndr_format.add_argument("mote_a", type=Path, metavar="MOTE_A.txt")
    lwsndr_format.add_argument("mote_b", type=Path, metavar="MOTE_B.txt")
    flags.add_out(lwsndr_format)
    lwsndr_format.add_argument("--group", help="the pair's name (default: lwsndr/motes<a>-<b>)")
    lwsndr_format.add_argument(
        "--start",
        type=flags.parse_iso_time,
        default=lwsndr.DEFAULT_START,
        help="when reading number 1 was taken, ISO 8601 (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> str:
    """Write the recording; return a text with the numbers of joined and omitted readings."""
    imported = lwsndr.join_motes(arguments.mote_a, arguments.mote_b, arguments.group, arguments.start)
    recordings.write(imported.frame, arguments.out)
    return (
        f"{arguments.out}: {len(imported.frame)} readings of {printable(imported.frame['group'].iloc[0])}; "
        f"left out {imported.unmatched_count} whose number only one of the files has"
    )
