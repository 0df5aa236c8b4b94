"""What a payload format does: bytes of one message -> plain data."""

from typing import Any, Protocol

__all__ = ["MAX_REASON_LENGTH", "NESTED_TOO_DEEPLY", "PayloadFormat", "clean_reason"]

MAX_REASON_LENGTH = 200
"""Characters of the reason in a `ValueError`; it stands in the log beside the topic."""

NESTED_TOO_DEEPLY = "the payload is nested too deeply"


class PayloadFormat(Protocol):
    """Parses the payloads of one format.

    The caller has checked the size of the payload: at most 1 MiB.
    """

    def parse(self, payload: bytes) -> Any:
        """Return the payload as plain data: dict, list, str, int, float, bool, None.

        Raises
        ------
        ValueError : the payload is not of this format; its text says what is wrong and what was expected.
        """


def clean_reason(reason: str) -> str:
    """Return a reason of at most `MAX_REASON_LENGTH` characters without any that can't be printed."""
    printable = "".join(
        character if character.isprintable() else "?" for character in reason[:MAX_REASON_LENGTH]
    )
    return printable if len(reason) <= MAX_REASON_LENGTH else f"{printable[:-3]}..."
