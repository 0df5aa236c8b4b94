"""Recordings from elsewhere that unpack to more than a machine has, or never end."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.cli.main import main
from monitor.core.errors import InvalidInputError, RecordingError
from monitor.recordings import parquet_rows, table
from monitor.recordings.reader import Recording
from tests.support.toy_bundle import HEALTHY, NAMES
from training.data import lwsndr, windows_file

HEADER = f"ts,group,{','.join(NAMES)}\n"


def _columns(rows: int) -> dict[str, pa.Array]:
    values = {name: pa.array(np.full(rows, value)) for name, value in zip(NAMES, HEALTHY, strict=True)}
    return {"ts": pa.array(np.arange(rows) * 5.0), "group": pa.array(["g"] * rows), **values}


def _write(path: Path, **changes: pa.Array) -> None:
    rows = max(map(len, changes.values()), default=10)
    pq.write_table(pa.table(_columns(rows) | changes), path, compression="zstd")


def _zeros(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)  # sparse: a terabyte that takes no room


def _endless_line(path: Path) -> None:
    path.write_text(HEADER + "1," * 1_000_000)


def _large_cell(path: Path) -> None:
    path.write_text(HEADER + "1," + "g" * 10_000_000 + ",20,50,20,50\n")


def _open_quotes(path: Path) -> None:
    path.write_text(HEADER + '1,"' + "\n" * 10_000_000)


def _many_quoted_cells(path: Path) -> None:
    path.write_text(HEADER + '"\n",' * 1_000_000)


def _many_columns(path: Path) -> None:
    path.write_text(HEADER[:-1] + "," * 20_000 + "\n")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _large_text(path: Path) -> None:
    _write(path, group=pa.array(["g" * 100_000_000]))


def _many_large_texts(path: Path) -> None:
    _write(path, group=pa.array([f"{number}" + "g" * 100_000 for number in range(1000)]))


def _list(path: Path) -> None:
    _write(path, humidity_1=pa.array([[0.0] * 1_000_000]))


def _table_in_a_column(path: Path) -> None:
    _write(path, humidity_1=pa.array([{"a": 1.0}]))


def _many_rows(path: Path) -> None:
    """A footer of a thousand parts with a million rows each, all at the same place in the file."""
    part = pa.table({name: pa.nulls(1_000_000, column.type) for name, column in _columns(1).items()})
    pq.write_table(part, path)
    metadata = pq.read_metadata(path)
    for _ in range(10):
        metadata.append_row_groups(metadata)
    metadata.write_metadata_file(path)


def _many_parquet_columns(path: Path) -> None:
    _write(path, **{f"c{number}": pa.array([0.0]) for number in range(10_001)})


CSV_BOMBS = [
    _zeros,
    _endless_line,
    _large_cell,
    _open_quotes,
    _many_quoted_cells,
    _many_columns,
    _pipe,
    _device,
]
PARQUET_BOMBS = [
    _zeros,
    _large_text,
    _many_large_texts,
    _list,
    _table_in_a_column,
    _many_rows,
    _many_parquet_columns,
    _pipe,
    _device,
]


@pytest.mark.parametrize(
    ("suffix", "write"),
    [*((".csv", write) for write in CSV_BOMBS), *((".parquet", write) for write in PARQUET_BOMBS)],
)
def test_backtest_refuses(
    toy_bundle: Path,
    tmp_path: Path,
    suffix: str,
    write: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`backtest` refuses the file in one line that names it, and writes nothing."""
    file = tmp_path / f"recording{suffix}"
    write(file)
    flags = ["--bundle", str(toy_bundle), "--recording", str(file), "--out", str(tmp_path / "scores.csv")]
    assert main(["backtest", *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"sensor-monitor: {file}: ")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "scores.csv").exists()


def test_memory_while_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that takes more memory than its bound is refused, and the next file is read."""
    file = tmp_path / "recording.parquet"
    _write(file, group=pa.array(["g" * 50_000_000] * 4))
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())  # the usual one has a reserve of its own
    try:
        with monkeypatch.context() as patch:
            patch.setattr(parquet_rows, "MAX_MEMORY", 16 << 20)
            with pytest.raises(RecordingError, match=r"\.parquet: a part of it unpacks to more than"):
                list(Recording(file).blocks())
    finally:
        pa.set_memory_pool(pool)
    _write(file)
    assert len(Recording(file).read().ts) == 10


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_cells(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files with more cells than the bound are refused, and a file that is read as a whole has its own."""
    file = tmp_path / f"recording{suffix}"
    if suffix == ".csv":
        file.write_text(HEADER + "1,g,20,50,20,50\n" * 10)
    else:
        _write(file)
    monkeypatch.setattr(table, "MAX_CELLS_AT_ONCE", 60)
    with pytest.raises(RecordingError, match=rf"{suffix}: unpacks to more than 60 cells"):
        Recording(file).read()
    assert sum(len(block.ts) for block in Recording(file).blocks()) == 10
    monkeypatch.setattr(table, "MAX_CELLS", 60)
    with pytest.raises(RecordingError, match=rf"{suffix}: unpacks to more than 60 cells"):
        list(Recording(file).blocks())


def test_repeated_text_is_one_object(tmp_path: Path) -> None:
    """A long name that each of a million rows has takes memory once."""
    file = tmp_path / "recording.parquet"
    indices = pa.array(np.zeros(1_000_000, np.int32))
    _write(file, group=pa.DictionaryArray.from_arrays(indices, pa.array(["g" * 60_000])))
    assert file.stat().st_size < 20_000_000
    block = next(Recording(file).blocks())
    assert len({id(group) for group in block.groups}) == 1


def test_wide_rows_come_in_small_blocks(tmp_path: Path) -> None:
    """The block of a file with many columns has fewer rows."""
    file = tmp_path / "recording.csv"
    header = ",".join(["ts", "group", *(f"f{number}" for number in range(2000))])
    file.write_text(f"{header}\n" + ("1,g" + ",0" * 2000 + "\n") * 1500)
    assert {len(block.ts) for block in Recording(file).blocks(["f0"])} == {524, 452}


@pytest.mark.parametrize("name", ["windows.csv.gz", "windows.csv"])
def test_compressed_windows(tmp_path: Path, name: str) -> None:
    """Files of windows or motes are not unpacked, whatever their name, and have a bound."""
    file = tmp_path / name
    file.write_bytes(gzip.compress(b"0" * 1_000_000))
    with pytest.raises(InvalidInputError, match=name):
        windows_file.read(file, NAMES, 3, 5.0)
    with pytest.raises(InvalidInputError, match=name):
        lwsndr.join_motes(file, file, None, lwsndr.DEFAULT_START)
    _zeros(file)
    with pytest.raises(InvalidInputError, match=r"has 1024\.0 GiB, expected at most 1 GiB"):
        windows_file.read(file, NAMES, 3, 5.0)
