"""What a stage remembers of each group, as values that can be kept elsewhere."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from monitor.core.group_table import Rows

__all__ = ["Grouped"]

_HEAD_BYTES = 2  # of each number in a record's head


class Grouped(Rows):
    """Records that can be dumped and loaded.

    A group's record is its `dump`, byte for byte, so that saving thousands a second costs little.

    Parameters
    ----------
    what : whose state it is, for errors.
    head : version and shape: numbers below 65,536 that a record must begin with.
    fields : the record's other fields, as `numpy.dtype` takes them.
    blank : the fields that aren't 0 in a new record.
    """

    def __init__(
        self, what: str, head: Sequence[int], fields: Sequence[tuple[Any, ...]], blank: dict[str, Any]
    ) -> None:
        self._what = what
        self._head = tuple(head)
        record = np.zeros((), np.dtype([("head", "<u2", (len(head),)), *fields], align=True))
        for name, value in {"head": head, **blank}.items():
            record[name] = value
        super().__init__(record)
        self._show()

    def dump(self, name: str) -> bytes:
        """Return a group's record as a value; an empty one where it has none."""
        row = self.row(name)
        if row is None:
            return self._blank.tobytes()
        size = self._blank.nbytes
        return bytes(self._bytes[row * size : (row + 1) * size])

    def load(self, name: str, value: bytes) -> None:
        """Put back what `dump` returned.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        blank = self._blank
        if len(value) < _HEAD_BYTES * len(self._head):
            raise ValueError(f"{self._what} state of {name!r} has {len(value)} bytes, expected more")
        version, *shape = np.frombuffer(value, "<u2", len(self._head)).tolist()
        if (version, *shape) != self._head:
            raise ValueError(
                f"{self._what} state of {name!r} is version {version} with {_by(shape)} values; "
                f"expected version {self._head[0]} with {_by(self._head[1:])}"
            )
        if len(value) != blank.nbytes:
            raise ValueError(
                f"{self._what} state of {name!r} has {len(value)} bytes, expected {blank.nbytes}"
            )
        row = int(self.find([name])[0])  # before the records are taken hold of
        self.records[row] = np.frombuffer(value, blank.dtype)[0]

    def clear(self, row: int) -> None:
        """Let a group begin afresh."""
        self.records[row] = self._blank

    def _grow(self) -> None:
        super()._grow()
        self._show()

    def _show(self) -> None:
        """Take hold of the array, which may be another one now."""
        # A slice of these takes a third of the time that a record's own `tobytes` does.
        self._bytes = self.records.view(np.uint8).data


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
