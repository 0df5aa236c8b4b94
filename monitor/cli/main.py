"""The command `sensor-monitor`: parse the arguments, run one command, return its exit code."""

import os
import sys
from collections.abc import Sequence

from monitor.cli import exit_codes
from monitor.cli.parser import CommandFunction, build_parser
from monitor.core.errors import InvalidInputError, OperationError

__all__ = ["main"]


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
        print(f"sensor-monitor: {error}", file=sys.stderr)
        return exit_codes.INVALID_INPUT if isinstance(error, InvalidInputError) else exit_codes.FAILED
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        # The process reading our stdout (such as `head`) has exited; this is not an error. Redirect stdout to
        # /dev/null, because the interpreter flushes it at exit and would raise BrokenPipeError again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.SUCCESS
