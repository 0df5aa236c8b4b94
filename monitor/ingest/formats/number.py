"""A plain number as text, such as `21.4`."""

from monitor.ingest.decode_errors import strip_padding

__all__ = ["NumberFormat"]


class NumberFormat:
    """One number per message, or a word in its place such as `unavailable`."""

    def parse(self, payload: bytes) -> dict[str, float | str]:
        """Return {"value": the number}, or {"value": the text without blanks around it} if it is none.

        Only finite decimal numbers are numbers: `nan`, `inf`, `1e400` and `1_000` are text. A byte order mark
        before the text and a NUL behind it are removed.
        """
        try:
            value = float(payload)
        except ValueError:
            return {"value": _parse_padded(payload)}
        # The difference is NaN for infinities and NaN. Python reads underscores between digits.
        if value - value == 0 and b"_" not in payload:
            return {"value": value}
        return {"value": _decode_text(payload)}


def _parse_padded(payload: bytes) -> float | str:
    """Return the number or text of a payload that may have padding around it."""
    stripped = strip_padding(payload)
    text = _decode_text(stripped)
    if len(stripped) == len(payload) or "_" in text:
        return text
    try:
        value = float(stripped)
    except ValueError:
        return text
    return value if value - value == 0 else text


def _decode_text(payload: bytes) -> str:
    try:
        return payload.decode().strip()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte {error.start} is no UTF-8 text; expected a number as text, such as 21.4"
        ) from None
