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
    argv : the command and its arguments; None: those of the process.
    """
    arguments = build_parser().parse_args(argv)
    run: CommandFunction = arguments.run
    try:
        return run(arguments)
    except (InvalidInputError, OperationError) as error:
        print(f"sensor-monitor: {error}", file=sys.stderr)
        return exit_codes.UNUSABLE if isinstance(error, InvalidInputError) else exit_codes.FAILED
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:  # the reader of our output (`| head`) has closed it: no failure
        # The interpreter flushes stdout when it ends, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.DONE
