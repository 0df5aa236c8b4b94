"""Entry point of `sensor-training`: parses the arguments, runs the command, sets the exit code."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from monitor.core.errors import InvalidInputError
from monitor.core.printable import printable, printable_lines

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command, and print the text that it returns.

    Parameters
    ----------
    argv : arguments without the program name; None: `sys.argv[1:]`.

    Raises
    ------
    SystemExit : exit code 1: failure while running; 2: invalid usage, settings or input; 130: interrupted.
    """
    try:
        from training.cli.parser import build_parser  # noqa: PLC0415 - Ctrl-C is caught during the import of pandas too

        arguments = build_parser().parse_args(argv)
        print(printable_lines(arguments.run(arguments)), flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except (
        BrokenPipeError
    ):  # the process reading our stdout (such as `head`) has exited; this is not an error
        # Redirect stdout to /dev/null, because the interpreter flushes it at exit and would raise
        # BrokenPipeError again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ModuleNotFoundError as error:
        _exit_with_error(2, f"training needs {error.name}: install sensor-monitor[training]")
    except InvalidInputError as error:
        _exit_with_error(2, str(error))
    except Exception as error:  # noqa: BLE001 - any failure is one line on stderr, without a traceback
        _exit_with_error(1, f"{type(error).__name__}: {error}")


def _exit_with_error(code: int, message: str) -> NoReturn:
    print(f"sensor-training: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(code)
