"""Numbers for people, and numbers of stored states."""

from typing import Annotated

import msgspec

__all__ = ["Count", "round_significant"]

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"""A number of readings or events in a stored state: it can be counted on without end, and encoded again."""


def round_significant(number: float, digits: int = 3) -> float:
    """Round a finite number to a count of significant digits."""
    return float(f"{number:.{digits}g}")
