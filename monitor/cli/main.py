"""The command `sensor-monitor`: parse the arguments, run one command, return its exit code."""

import argparse
import os
import select
import sys
from collections.abc import Sequence
from contextlib import suppress

from monitor.cli import exit_codes
from monitor.cli.output import print_error
from monitor.cli.parser import CommandFunction, build_parser
from monitor.core.errors import ConfigurationError, InvalidInputError, OperationError

__all__ = ["main"]

_STDERR = 2  # file descriptor
# Seconds that a full pipe on stderr has to be read before an error message is left out.
_STDERR_TIMEOUT_S = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are printed as one line on stderr.

    Parameters
    ----------
    argv : the command and its arguments; None: `sys.argv[1:]`.
    """
    arguments = build_parser().parse_args(argv)
    run: CommandFunction = arguments.run
    try:
        return run(arguments)
    except (InvalidInputError, OperationError) as error:
        _print_error(f"sensor-monitor: {_describe(error, arguments)}")
        return exit_codes.INVALID_INPUT if isinstance(error, InvalidInputError) else exit_codes.FAILED
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        # The process reading our stdout (such as `head`) has exited; this is not an error. Redirect stdout to
        # /dev/null, because the interpreter flushes it at exit and would raise BrokenPipeError again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.SUCCESS


def _describe(error: Exception, arguments: argparse.Namespace) -> str:
    """Return an error's text; of a wrong setting with the file that it stands in."""
    if not isinstance(error, ConfigurationError):
        return str(error)
    from monitor.config.loading import name_origin

    return name_origin(str(error), getattr(arguments, "config", None))


def _print_error(text: str) -> None:
    """Print an error, unless stderr is a full pipe that nobody reads: the command must end all the same."""
    writable = [_STDERR]
    with suppress(OSError, ValueError):  # closed, or nothing that can be waited for
        _, writable, _ = select.select([], [_STDERR], [], _STDERR_TIMEOUT_S)
    if writable:
        print_error(text)
