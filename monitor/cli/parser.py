"""The argument parser of `sensor-monitor`, built from the modules of its commands."""

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn, Protocol, cast

from monitor import __version__
from monitor.cli.completion import add_completion

__all__ = ["COMMANDS", "Command", "CommandFunction", "build_parser"]

COMMANDS = {
    "run": "monitor.cli.run",
    "check": "monitor.cli.check",
    "discover": "monitor.cli.discover.command",
    "replay": "monitor.cli.replay",
    "record": "monitor.cli.record",
    "backtest": "monitor.cli.backtest.command",
    "demo": "monitor.cli.demo.command",
}
"""Name -> module of each command, in the order of the help. A new command needs a module and an entry
here."""

CommandFunction = Callable[[argparse.Namespace], int]
"""Runs a command with the parsed arguments and returns its exit code."""


class Command(Protocol):
    """The interface of a command's module.

    All command modules are imported to build the parser, so at module level they must not import packages
    that load slowly (numpy, paho, pydantic): their function `run` imports these.
    """

    SUMMARY: str
    """One sentence: the command's line in `sensor-monitor --help`, and the first line of its own help."""
    DETAILS: str
    """The rest of its description, in lines of at most 80 characters."""
    EXAMPLES: Sequence[str]
    """Up to three examples, each a complete shell command."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to its parser."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the command and return its exit code."""


_SETTINGS = """
settings:
  A flag beats the environment (MONITOR_MQTT__HOST=broker), the environment beats
  the file of --config, and the file beats the default. config/monitor.toml has
  every setting with its default.
"""
_EXIT_CODES = """
exit codes:
  0 done, 1 failed for a reason that may pass, such as a port in use or no
  broker, 2 wrong usage, settings or bundle, with one line on stderr that says
  what, where, and what was expected; 130 interrupted.
"""


class _OneLineErrorParser(argparse.ArgumentParser):
    """Reports wrong usage in one line, without argparse's usage text."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the arguments that it parses hold the command's `CommandFunction` as `run`."""
    root_parser = _OneLineErrorParser(
        "sensor-monitor",
        description="Says which of a plant's sensors can still be believed.",
        epilog=_epilog("sensor-monitor run --config config/monitor.toml", "sensor-monitor run --help"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root_parser.add_argument("--version", action="version", version=f"sensor-monitor {__version__}")
    add_completion(root_parser)
    subparsers = root_parser.add_subparsers(metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = cast("Command", import_module(module))
        parser = subparsers.add_parser(
            name,
            help=command.SUMMARY,
            description=f"{command.SUMMARY}\n\n{command.DETAILS}",
            epilog=_epilog(*command.EXAMPLES),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.configure(parser)
        if any(action.dest == "config" for action in parser._actions):  # noqa: SLF001, argparse has no public list
            parser.epilog = f"{parser.epilog}{_SETTINGS}"
        parser.set_defaults(run=command.run)
    return root_parser


def _epilog(*examples: str) -> str:
    lines = "".join(f"  {example}\n" for example in examples)
    return f"examples:\n{lines}{_EXIT_CODES}"
