"""The command line of `sensor-training`: its commands, each a module of `training.cli`."""

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
    """A command: its module, what it is for in a line, what else there is to know, and examples."""

    module: str
    summary: str
    details: str
    examples: tuple[str, ...]


_COMMANDS = {
    "import": _Command(
        "import_",
        "make a recording of files of another form",
        "A reading of the one file is joined with that of the other which has its number.",
        ("sensor-training import lwsndr mote1.txt mote2.txt --out motes.csv",),
    ),
    "simulate": _Command(
        "simulate",
        "make a recording of a plant that isn't there",
        "Healthy readings of pairs of sensors, with days, weather and noise.",
        (
            "sensor-training simulate --out plant.csv",
            "sensor-training simulate --out plant.parquet --groups 2 --hours 24 --seed 7",
            "sensor-training simulate --out store.csv --kind cold-room",
        ),
    ),
    "inject": _Command(
        "inject",
        "put known faults into healthy readings",
        "Writes a labelled copy: what is faulty, and of which kind.",
        (
            "sensor-training inject plant.csv --out faulty.csv",
            "sensor-training inject plant.csv --out stuck.csv --rate 0.1 --kinds stuck loss",
        ),
    ),
    "fit": _Command(
        "fit",
        "train on recordings and write the bundle",
        "The end of each group's time is kept for a test, and the bundle says how the\n"
        "network did there; its report/report.html tells whether to trust it. --healthy takes\n"
        "a plant at rest without labels, says what in it looks like a fault, and whether the\n"
        "bundle beats the one that comes with the monitor.",
        (
            "sensor-training fit --recording faulty.csv --bundle var/bundle",
            "sensor-training fit --healthy plant.csv --bundle var/bundle",
            "sensor-training fit --windows labelled.csv --bundle var/bundle --epochs 100",
        ),
    ),
    "tune": _Command(
        "tune",
        "search for better settings",
        "Measured on the validation part alone. What was stopped goes on where it was.",
        (
            "sensor-training tune --recording faulty.csv --out var/search --trials 20",
            "sensor-training tune --recording faulty.csv --out var/weights --study initializers",
        ),
    ),
    "evaluate": _Command(
        "evaluate",
        "say how good a bundle is",
        "On labelled recordings, or what it says of one window.",
        (
            "sensor-training evaluate --bundle var/bundle --recording faulty.csv --out var/evaluation",
            "sensor-training evaluate --bundle var/bundle --window=27,68,27,68,27,68,27,68,27,68,27,68",
        ),
    ),
    "explain": _Command(
        "explain",
        "say what a bundle's verdicts depend on",
        "By how much F1 falls when a feature, a step, or both are shuffled.",
        ("sensor-training explain --bundle var/bundle --recording faulty.csv --out var/explanation",),
    ),
    "inspect": _Command(
        "inspect_",
        "show a bundle's network layer by layer",
        "Shapes and spreads of its weights as a table, and a picture a layer.",
        ("sensor-training inspect --bundle var/bundle --out var/weights",),
    ),
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses has the function that runs the command as `run`."""
    root_parser = _Parser(
        prog="sensor-training",
        description="Makes the bundle that the monitor loads.",
        epilog=_epilog(*_COMMANDS["inject"].examples[:1], *_COMMANDS["fit"].examples[:1]),
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
        takes_settings = any(action.dest == "config" for action in _actions(command))
        command.epilog = _epilog(*spec.examples) + (_SETTINGS if takes_settings else "")
        command.set_defaults(run=module.run)
    for action in _actions(root_parser):
        if action.type is Path:
            folder = action.metavar == "DIR"
            action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
    return root_parser


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield what the parser and the parsers of its commands take."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield from _actions(command)


def _epilog(*examples: str) -> str:
    lines = "".join(f"  {example}\n" for example in examples)
    return f"examples:\n{lines}{_EXIT_CODES}"
