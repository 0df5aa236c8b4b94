"""`sensor-training`: parse, run, exit code."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from monitor.core.errors import InvalidInputError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command, and return when it is done.

    Raises
    ------
    SystemExit : 1 failed while running, 2 wrong usage or input, 130 interrupted.
    """
    try:
        from training.cli.parser import build_parser  # noqa: PLC0415 - Ctrl-C is quiet while pandas comes in, too

        arguments = build_parser().parse_args(argv)
        print(arguments.run(arguments), flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ModuleNotFoundError as error:
        _exit_with_error(2, f"training needs {error.name}: install sensor-monitor[training]")
    except InvalidInputError as error:
        _exit_with_error(2, str(error))
    except Exception as error:  # noqa: BLE001 - whatever went wrong is told in one line
        _exit_with_error(1, f"{type(error).__name__}: {error}")


def _exit_with_error(code: int, message: str) -> NoReturn:
    print(f"sensor-training: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
