"""Numbers for people."""

__all__ = ["round_significant"]


def round_significant(number: float, digits: int = 3) -> float:
    """Round a finite number to a count of significant digits."""
    return float(f"{number:.{digits}g}")
