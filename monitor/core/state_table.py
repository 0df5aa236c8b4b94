"""A table with the state of each group in one stage, which can be saved as bytes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.group_table import GroupTable

__all__ = ["StateTable"]

_HEADER_ITEM_BYTES = 2


class StateTable(GroupTable):
    """A `GroupTable` whose records can be dumped to bytes and loaded again.

    `dump` returns the bytes of the group's record as they are in memory, so that saving thousands of groups
    per second costs little.

    Parameters
    ----------
    stage_name : name of the stage that owns the state, for error messages.
    header : version of the format, then the shape: numbers below 65,536 that each record begins with.
    fields : the record's other fields, as `numpy.dtype` takes them.
    defaults : values of the fields that aren't 0 in a new record.
    appended_fields : further fields, which an earlier version of the state didn't have: `load` takes a record
        that ends before them, and sets them to their defaults.
    transient_fields : fields at the end of the record that are valid only in this process: `dump` leaves
        them out, and `load` sets them to their defaults.
    """

    def __init__(
        self,
        stage_name: str,
        header: Sequence[int],
        fields: Sequence[tuple[Any, ...]],
        defaults: dict[str, Any],
        transient_fields: Sequence[tuple[Any, ...]] = (),
        appended_fields: Sequence[tuple[Any, ...]] = (),
    ) -> None:
        self._stage_name = stage_name
        self._header = tuple(header)
        dumped_fields = [("header", "<u2", (len(header),)), *fields, *appended_fields]
        record = np.zeros((), np.dtype([*dumped_fields, *transient_fields], align=True))
        for name, value in {"header": header, **defaults}.items():
            record[name] = value
        super().__init__(record)
        self._record_size = record.nbytes
        # What `dump` returns: the bytes before the first transient field.
        self._dump_size = _find_offset(record, transient_fields, record.nbytes)
        self._earlier_dump_size = _find_offset(record, appended_fields, self._dump_size)
        self._update_views()

    def dump(self, name: str) -> bytes:
        """Return the bytes of the group's record, or of a default record if the group has none."""
        row = self.row(name)
        if row is None:
            return self._default_record.tobytes()[: self._dump_size]
        start = row * self._record_size
        return bytes(self._bytes[start : start + self._dump_size])

    def load(self, name: str, value: bytes) -> None:
        """Set the group's record from bytes that `dump` returned, here or in another instance.

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
        if len(value) not in {self._dump_size, self._earlier_dump_size}:
            raise ValueError(
                f"{self._stage_name} state of {name!r} has {len(value)} bytes, expected {self._dump_size}"
            )
        row = int(self.find_or_add([name])[0])  # before `self.records` is read: adding may replace it
        missing_part = default_record.tobytes()[len(value) :]
        self.records[row] = np.frombuffer(value + missing_part, default_record.dtype)[0]

    def clear(self, row: int) -> None:
        """Reset a group's record to the default."""
        self.records[row] = self._default_record

    def _grow(self) -> None:
        super()._grow()
        self._update_views()

    def _update_views(self) -> None:
        """Create the views again after `records` was replaced. Subclasses add views of single fields."""
        # Slicing these bytes takes a third of the time of a record's own `tobytes`.
        self._bytes = self.records.view(np.uint8).data


def _find_offset(record: NDArray[Any], fields: Sequence[tuple[Any, ...]], default: int) -> int:
    """Return the number of bytes before the first of the fields; `default` if there are none."""
    assert record.dtype.fields is not None  # noqa: S101, it has a header
    return record.dtype.fields[fields[0][0]][1] if fields else default


def _format_shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
