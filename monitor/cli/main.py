"""The command `sensor-monitor`: parse the arguments, run one command, return its exit code."""

import os
import select
import sys
from collections.abc import Sequence
from contextlib import suppress

from monitor.cli import exit_codes
from monitor.cli.parser import CommandFunction, build_parser
from monitor.core.errors import InvalidInputError, OperationError

__all__ = ["main"]

_STDERR = 2  # file descriptor
# Seconds that a full pipe on stderr has to be read before an error message is left out.
_STDERR_TIMEOUT_S = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are printed as one line on stderr.

    Parameters
    ----------
    argv : the command and its arguments; None: those of the process.
    """
    arguments = build_parser().parse_args(argv)
    run: CommandFunction = arguments.run
    try:
        return run(arguments)
    except (InvalidInputError, OperationError) as error:
        _print_error(f"sensor-monitor: {error}")
        return exit_codes.UNUSABLE if isinstance(error, InvalidInputError) else exit_codes.FAILED
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:  # the reader of our output (`| head`) has closed it: no failure
        # The interpreter flushes stdout when it ends, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.DONE


def _print_error(text: str) -> None:
    """Print an error, unless stderr is a full pipe that nobody reads: the command must end all the same."""
    writable = [_STDERR]
    with suppress(OSError, ValueError):  # closed, or nothing that can be waited for
        _, writable, _ = select.select([], [_STDERR], [], _STDERR_TIMEOUT_S)
    if writable:
        print(text, file=sys.stderr)
