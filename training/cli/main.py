"""The entry point of `sensor-training`: parses, runs the command, sets the exit code."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from monitor.core.errors import InvalidInputError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command, and print what it returns.

    Raises
    ------
    SystemExit : 1 failed while running; 2 wrong usage, settings or input; 130 interrupted.
    """
    try:
        from training.cli.parser import build_parser  # noqa: PLC0415 - Ctrl-C is caught during the import of pandas too

        arguments = build_parser().parse_args(argv)
        print(arguments.run(arguments), flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ModuleNotFoundError as error:
        _exit_with_error(2, f"training needs {error.name}: install sensor-monitor[training]")
    except InvalidInputError as error:
        _exit_with_error(2, str(error))
    except Exception as error:  # noqa: BLE001 - any failure is one line on stderr, without a traceback
        _exit_with_error(1, f"{type(error).__name__}: {error}")


def _exit_with_error(code: int, message: str) -> NoReturn:
    print(f"sensor-training: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
