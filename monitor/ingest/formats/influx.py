"""InfluxDB's line protocol."""

import re
from typing import Any

from monitor.ingest.formats.payload_format import clean_reason

__all__ = ["InfluxFormat"]

_EXAMPLE = "`measurement,tag=a field=1.0 1556813561098000000`"

# A line ends at a line feed outside of quotes; quotes have a meaning behind the first space only. Possessive
# quantifiers keep the search from trying combinations.
_LINE = re.compile(
    r"""
    \s*+
    (
      \#[^\n]*+                                     # comment
    | (?: [^ \\\n]++ | \\. )++                      # measurement and tags
      (?: [^"\n]++ | " (?: [^"\\]++ | \\. )*+ " )*+  # fields and timestamp
    )
    (?: \n | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)


class InfluxFormat:
    """Lines of InfluxDB's line protocol.

    Raises
    ------
    ValueError : the package line-protocol-parser isn't installed.
    """

    def __init__(self) -> None:
        try:
            import line_protocol_parser  # noqa: PLC0415, an extra that other formats do without
        except ModuleNotFoundError:
            raise ValueError(
                "the package line-protocol-parser is not installed; expected "
                "`pip install 'sensor-monitor[influx]'`"
            ) from None
        self._parse_line = line_protocol_parser.parse_line
        self._line_error = line_protocol_parser.LineFormatError

    def parse(self, payload: bytes) -> list[dict[str, Any]]:
        """Return the points in the order of their lines, without comments.

        Returns
        -------
        For each line {"measurement": str, "tags": {name: str}, "fields": {name: number, bool or str},
        "timestamp": int or None}. The unit of the timestamp is the sender's, by default nanoseconds.
        """
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"byte {error.start} is no UTF-8 text; expected {_EXAMPLE}") from None
        points = []
        for number, line in enumerate(_split_lines(text), 1):
            try:
                point = self._parse_line(line)
            except self._line_error as error:
                raise ValueError(clean_reason(f"line {number}: {error} Expected {_EXAMPLE}")) from None
            if point is not None:  # no comment
                point["timestamp"] = point.pop("time")
                points.append(point)
        if not points:
            raise ValueError(f"the payload has no line of data; expected {_EXAMPLE}")
        return points


def _split_lines(text: str) -> list[str]:
    """Return the lines that aren't blank. A string value may contain line feeds."""
    text = text.rstrip()
    if '"' not in text:
        return [line for line in text.split("\n") if line and not line.isspace()]
    lines: list[str] = []
    position = 0
    while position < len(text):
        match = _LINE.match(text, position)
        if match is None:
            raise ValueError(f"line {len(lines) + 1} has quotes that don't end; expected {_EXAMPLE}")
        lines.append(match[1])
        position = match.end()
    return lines
