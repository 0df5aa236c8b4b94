"""Reads the rows of Parquet files, in batches of bounded size.

A Parquet file of some kilobytes may unpack to terabytes: pages are compressed, runs of equal values are
counted, and texts are numbered. What the file says of itself is checked first, and because it may lie, memory
is bounded while a part of it is unpacked.
"""

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from monitor.core.errors import RecordingError
from monitor.recordings.bounds import (
    MAX_BLOCK_CELLS,
    MAX_BLOCK_TEXT,
    MAX_MEMORY,
    MAX_UNPACKED,
    check_cells,
    check_columns,
    check_file,
)

__all__ = ["read_parquet"]

_Rows = Sequence[Sequence[Any]]

_ROWS_AT_ONCE = 1 << 16  # twice as fast as 4,096


def read_parquet(path: Path, rows_per_batch: int) -> Iterator[_Rows]:
    """Yield batches of rows, the first of which is the header only.

    Parameters
    ----------
    rows_per_batch : largest number of rows.

    Raises
    ------
    OSError : the file can't be read.
    RecordingError : it is no Parquet file, or would unpack to too much.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - takes 100 MB of memory, so only if needed
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise RecordingError(f"{path}: Parquet needs pyarrow: install sensor-monitor[training]") from None
    check_file(path)
    try:
        with _bounded_memory(path), parquet.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
        _check_metadata(path, schema, metadata)
        yield [list(schema.names)]
        # As indices into the distinct texts, so that a long one that each row has is there once.
        texts = [field.name for field in schema if _is_text(field.type)]
        rows_at_once = max(1, min(_ROWS_AT_ONCE, MAX_BLOCK_CELLS // max(1, len(schema))))
        with parquet.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
            # In this thread: an allocation that fails in a thread of Arrow's own ends the process.
            batches = file.iter_batches(rows_at_once, use_threads=False)
            while True:
                with _bounded_memory(path):
                    batch = next(batches, None)
                if batch is None:
                    return
                _check_texts(path, batch)
                rows = zip(*map(_to_cells, batch), strict=True)
                while part := list(islice(rows, rows_per_batch)):
                    yield part
    except pa.ArrowException as error:
        raise RecordingError(f"{path}: is no Parquet file: {error}") from error


def _check_metadata(path: Path, schema: Any, metadata: Any) -> None:
    """Check what the file says of itself."""
    check_columns(path, len(schema))
    check_cells(path, metadata.num_rows * len(schema))
    for field in schema:
        if not _is_plain(field.type):
            raise RecordingError(
                f"{path}: column {field.name!r} has the type {str(field.type)[:40]}, "
                "expected numbers, texts or times"
            )
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > MAX_UNPACKED:
        raise RecordingError(
            f"{path}: unpacks to {unpacked >> 30:,} GiB, expected at most {MAX_UNPACKED >> 30} GiB"
        )


def _check_texts(path: Path, batch: Any) -> None:
    """Check the length of the distinct texts in a batch, before there is a Python object for each of them."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    distinct = [column.dictionary if pa.types.is_dictionary(column.type) else column for column in batch]
    lengths = [pc.sum(pc.binary_length(values)) for values in distinct if _is_text(values.type)]
    length = sum(total.as_py() or 0 for total in lengths)
    if length > MAX_BLOCK_TEXT:
        raise RecordingError(
            f"{path}: {batch.num_rows:,} rows unpack to {length >> 20:,} MiB of text, "
            f"expected at most {MAX_BLOCK_TEXT >> 20} MiB"
        )


@contextmanager
def _bounded_memory(path: Path) -> Iterator[None]:
    """Let this process have no more than `MAX_MEMORY` beside what it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = _address_space() + MAX_MEMORY
    if bound > MAX_MEMORY and (soft == resource.RLIM_INFINITY or bound < soft):
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    except MemoryError as error:  # pyarrow's is one too
        raise RecordingError(
            f"{path}: a part of it unpacks to more than {MAX_MEMORY >> 30} GiB, expected at most that"
        ) from error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int:
    """Return the bytes of address space that this process has; 0 where the system doesn't tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _is_text(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind))


def _is_plain(kind: Any) -> bool:
    """Return whether a column of this type has numbers, texts or times."""
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    numbers = types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null
    return _is_text(kind) or bool(types.is_temporal(kind)) or any(is_such(kind) for is_such in numbers)


def _to_cells(column: Any) -> list[Any]:
    """Return an Arrow array's values as Python objects, times rounded down to datetime's microseconds."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_dictionary(column.type):  # a text that comes often is one object
        texts = column.dictionary.to_pylist()
        return [None if index is None else texts[index] for index in column.indices.to_pylist()]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    cells: list[Any] = column.to_pylist()
    return cells
