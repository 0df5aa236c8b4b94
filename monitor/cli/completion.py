"""Shell completion: `--print-completion bash`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["add_completion"]


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Add `--print-completion`, which prints the completion script for a shell and exits."""
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=["bash", "zsh"],
        help='print the completion for this shell: eval "$(%(prog)s --print-completion bash)"',
    )


class _PrintCompletion(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002, argparse's signature
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002, argparse's signature
    ) -> None:
        import shtab

        for action in _all_actions(parser):
            is_folder = action.metavar == "DIR"
            if action.type is Path or is_folder:
                action.complete = shtab.DIRECTORY if is_folder else shtab.FILE  # type: ignore[attr-defined]
        sys.stdout.write(shtab.complete(parser, str(values)))
        parser.exit()


def _all_actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of the parser and of the parsers of its commands."""
    for action in parser._actions:  # noqa: SLF001, argparse has no public list
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield from _all_actions(command)
