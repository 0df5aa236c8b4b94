"""Text in CSV cells that a spreadsheet program would take for a formula.

Groups, topics and columns are named by whoever publishes. A cell that begins with `=`, `+`, `-` or `@` is a
formula for Excel and others, whatever quotes are around it, and a formula can run programs. So an apostrophe
is put in front of such a text, which these programs take as the sign of text, and is removed on reading.
Numbers stay as they are.
"""

import csv
import re
from collections.abc import Iterable, Sequence

__all__ = ["escape_cell", "restore_cells", "to_csv"]

# Also behind blanks and apostrophes, in their full width forms, and what some programs skip in front of them.
_FORMULA = re.compile("['\\s]*[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
_BOTH_LINE_ENDS = "\r\n"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def escape_cell(cell: object) -> object:
    """Return a text that would be a formula with an apostrophe in front, and anything else unchanged."""
    # Most texts begin with a letter or a digit, and need no regular expression.
    if isinstance(cell, str) and not cell[:1].isalnum() and _is_formula(cell):
        return f"'{cell}"
    return cell


def restore_cells(cells: Sequence[str]) -> Sequence[str]:
    """Return the cells of a column without the apostrophes that `escape_cell` puts in front."""
    if not any(cell.startswith("'") for cell in cells):
        return cells
    return [cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell for cell in cells]


def to_csv(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as lines of CSV, with no cell that is a formula."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator=_BOTH_LINE_ENDS)
    writer.writerows(map(escape_cell, row) for row in rows)
    return "".join(lines)


class _Lines(list[str]):
    """Takes lines that end in both characters, as the module then puts cells with either in quotes."""

    def write(self, line: str) -> None:
        """Keep a line with one of them."""
        self.append(f"{line[:-2]}\n")


def _is_formula(text: str) -> bool:
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None
