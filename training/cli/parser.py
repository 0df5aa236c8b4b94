"""The argument parser of `sensor-training`; each command has a module in `training.cli`."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import shtab

from monitor import __version__

__all__ = ["build_parser"]

_SETTINGS = """
settings:
  A flag (--batch-size 32) beats the environment (TRAINING_BATCH_SIZE=32), the
  environment beats the file of --config, and the file beats the default.
  config/training.toml has every setting with its default.
"""
_EXIT_CODES = """
exit codes:
  0 done, 1 failed while running, 2 wrong usage, settings or input, with one line
  on stderr that says what, where, and what was expected; 130 interrupted.
"""


@dataclass(frozen=True)
class _Command:
    """A command: its module in `training.cli`, and the texts of its help."""

    module: str
    summary: str
    details: str
    examples: tuple[str, ...]


_COMMANDS = {
    "import": _Command(
        "import_",
        "make a recording from files in another format",
        "Readings of the two files are joined by their number.",
        ("sensor-training import lwsndr mote1.txt mote2.txt --out motes.csv",),
    ),
    "simulate": _Command(
        "simulate",
        "make a recording of a simulated plant",
        "Healthy readings of groups of sensors, with daily cycles, weather and noise.",
        (
            "sensor-training simulate --out plant.csv",
            "sensor-training simulate --out store.parquet --kind cold-room --groups 2 --hours 24 --seed 7",
            "sensor-training simulate --out pump.csv --config config/sensors/vibration-and-current.toml",
        ),
    ),
    "inject": _Command(
        "inject",
        "put known faults into healthy readings",
        "Writes a labelled copy, with the kind of each faulty reading in a column `kind`.",
        (
            "sensor-training inject plant.csv --out faulty.csv",
            "sensor-training inject plant.csv --out stuck.csv --rate 0.1 --kinds stuck loss",
            "sensor-training inject pump.csv --out f.csv --config config/sensors/vibration-and-current.toml",
        ),
    ),
    "fit": _Command(
        "fit",
        "train on recordings and write the bundle",
        "The last part of each group's readings is the test part; the bundle holds the measures on\n"
        "it, and report/report.html explains them. --healthy takes recordings of a plant at rest\n"
        "without labels, lists what in them looks like a fault, and compares the new bundle with\n"
        "the one that comes with the monitor.",
        (
            "sensor-training fit --recording faulty.csv --bundle var/bundle",
            "sensor-training fit --healthy plant.csv --bundle var/bundle",
            "sensor-training fit --windows labelled.csv --bundle var/bundle --epochs 100",
        ),
    ),
    "tune": _Command(
        "tune",
        "search for better settings",
        "Measured on the validation part alone. A search that was stopped continues.",
        (
            "sensor-training tune --recording faulty.csv --out var/search --trials 20",
            "sensor-training tune --recording faulty.csv --out var/weights --study initializers",
        ),
    ),
    "evaluate": _Command(
        "evaluate",
        "measure how good a bundle is",
        "Measures on labelled recordings, or the verdict on one window.",
        (
            "sensor-training evaluate --bundle var/bundle --recording faulty.csv --out var/evaluation",
            "sensor-training evaluate --bundle var/bundle --window=27,68,27,68,27,68,27,68,27,68,27,68",
        ),
    ),
    "explain": _Command(
        "explain",
        "measure what a bundle's verdicts depend on",
        "The drop in F1 when a feature, a step, or one feature at one step is shuffled.",
        ("sensor-training explain --bundle var/bundle --recording faulty.csv --out var/explanation",),
    ),
    "inspect": _Command(
        "inspect_",
        "show a bundle's network layer by layer",
        "Shapes and spreads of its weights as a table, and a picture of each layer.",
        ("sensor-training inspect --bundle var/bundle --out var/weights",),
    ),
}


class _Parser(argparse.ArgumentParser):
    """Prints a usage error as one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser. The attribute `run` of a parsed namespace is the function that runs the command."""
    root_parser = _Parser(
        prog="sensor-training",
        description="Makes the bundle that the monitor loads.",
        epilog=_format_epilog(*_COMMANDS["inject"].examples[:1], *_COMMANDS["fit"].examples[:1]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root_parser.add_argument("--version", action="version", version=f"sensor-training {__version__}")
    shtab.add_argument_to(root_parser, help="print the completion for this shell")
    commands = root_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, spec in _COMMANDS.items():
        module = import_module(f"training.cli.{spec.module}")
        command = commands.add_parser(
            name,
            help=spec.summary,
            description=f"{spec.summary[0].upper()}{spec.summary[1:]}.\n\n{spec.details}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(command)
        takes_settings = any(action.dest == "config" for action in _iterate_actions(command))
        command.epilog = _format_epilog(*spec.examples) + (_SETTINGS if takes_settings else "")
        command.set_defaults(run=module.run)
    for action in _iterate_actions(root_parser):
        if action.type is Path:
            folder = action.metavar == "DIR"
            action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
    return root_parser


def _iterate_actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of all its subparsers."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield from _iterate_actions(command)


def _format_epilog(*examples: str) -> str:
    lines = "".join(f"  {example}\n" for example in examples)
    return f"examples:\n{lines}{_EXIT_CODES}"
