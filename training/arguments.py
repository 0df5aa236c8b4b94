"""The command line of `sensor-training`: its commands, each a module of `training.commands`."""

import argparse
from importlib import import_module
from typing import NoReturn

__all__ = ["parser"]

# Command -> its module, and what it is for.
_COMMANDS = {
    "import": ("import_", "make a recording of files of another form"),
    "simulate": ("simulate", "make a recording of a plant that isn't there"),
    "inject": ("inject", "put known faults into healthy readings"),
    "fit": ("fit", "train on recordings and write the bundle"),
    "tune": ("tune", "search for better settings"),
    "evaluate": ("evaluate", "say how good a bundle is"),
    "explain": ("explain", "say what a bundle's verdicts depend on"),
    "inspect": ("inspect_", "show a bundle's network layer by layer"),
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses has the function that runs the command as `run`."""
    whole = _Parser(prog="sensor-training", description="Makes the bundle that the monitor loads.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module_name, meaning) in _COMMANDS.items():
        module = import_module(f"training.commands.{module_name}")
        command = commands.add_parser(name, help=meaning)
        module.configure(command)
        command.set_defaults(run=module.run)
    return whole
