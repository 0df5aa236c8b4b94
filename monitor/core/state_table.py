"""What a stage remembers of each group, as values that can be kept elsewhere."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from monitor.core.group_table import GroupTable

__all__ = ["StateTable"]

_HEADER_ITEM_BYTES = 2  # of each number in a record's head


class StateTable(GroupTable):
    """Records that can be dumped and loaded.

    A group's record is its `dump`, byte for byte, so that saving thousands a second costs little.

    Parameters
    ----------
    stage_name : whose state it is, for errors.
    header : version and shape: numbers below 65,536 that a record must begin with.
    fields : the record's other fields, as `numpy.dtype` takes them.
    defaults : the fields that aren't 0 in a new record.
    transient_fields : fields behind the others that have a meaning for this process only: `dump` leaves them
        out, and `load` sets them to their defaults.
    """

    def __init__(
        self,
        stage_name: str,
        header: Sequence[int],
        fields: Sequence[tuple[Any, ...]],
        defaults: dict[str, Any],
        transient_fields: Sequence[tuple[Any, ...]] = (),
    ) -> None:
        self._stage_name = stage_name
        self._header = tuple(header)
        dumped_fields = [("header", "<u2", (len(header),)), *fields]
        record = np.zeros((), np.dtype([*dumped_fields, *transient_fields], align=True))
        for name, value in {"header": header, **defaults}.items():
            record[name] = value
        super().__init__(record)
        self._record_size = record.nbytes
        # What `dump` returns: the bytes before the first transient field.
        first_transient = transient_fields[0][0] if transient_fields else None
        assert record.dtype.fields is not None  # noqa: S101, it has a header
        self._dump_size = record.dtype.fields[first_transient][1] if first_transient else record.nbytes
        self._update_views()

    def dump(self, name: str) -> bytes:
        """Return a group's record as a value; an empty one where it has none."""
        row = self.row(name)
        if row is None:
            return self._default_record.tobytes()[: self._dump_size]
        start = row * self._record_size
        return bytes(self._bytes[start : start + self._dump_size])

    def load(self, name: str, value: bytes) -> None:
        """Put back what `dump` returned.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        default_record = self._default_record
        if len(value) < _HEADER_ITEM_BYTES * len(self._header):
            raise ValueError(f"{self._stage_name} state of {name!r} has {len(value)} bytes, expected more")
        version, *shape = np.frombuffer(value, "<u2", len(self._header)).tolist()
        if (version, *shape) != self._header:
            raise ValueError(
                f"{self._stage_name} state of {name!r} is version {version} with {_format_shape(shape)} "
                f"values; expected version {self._header[0]} with {_format_shape(self._header[1:])}"
            )
        if len(value) != self._dump_size:
            raise ValueError(
                f"{self._stage_name} state of {name!r} has {len(value)} bytes, expected {self._dump_size}"
            )
        row = int(self.find_or_add([name])[0])  # before the records are taken hold of
        transient_part = default_record.tobytes()[self._dump_size :]
        self.records[row] = np.frombuffer(value + transient_part, default_record.dtype)[0]

    def clear(self, row: int) -> None:
        """Let a group begin afresh."""
        self.records[row] = self._default_record

    def _grow(self) -> None:
        super()._grow()
        self._update_views()

    def _update_views(self) -> None:
        """Take hold of the array, which may be another one now."""
        # A slice of these takes a third of the time that a record's own `tobytes` does.
        self._bytes = self.records.view(np.uint8).data


def _format_shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
