from pathlib import Path

import pytest

from monitor.core.errors import InvalidInputError
from tests.support.training_features import FEATURE_NAMES
from training.data.lwsndr import DEFAULT_START, join_motes

HEADER = "Reading# Mote-ID Humidity Temperature Label\n"


def _write_motes(folder: Path, first: str, second: str) -> tuple[Path, Path]:
    paths = folder / "a.txt", folder / "b.txt"
    for path, rows in zip(paths, (first, second), strict=True):
        path.write_text(HEADER + rows)
    return paths


def test_motes_are_joined_by_reading_number(tmp_path: Path) -> None:
    """Readings with the same number become one row; those that only one file has are counted."""
    paths = _write_motes(
        tmp_path, "1\t7\t40\t20\t0\n2\t7\t41\t21\t1\n4\t7\t42\t22\t0\n", "2 8 51 31 0\n3 8 52 32 0\n"
    )
    imported = join_motes(*paths, group=None, start=DEFAULT_START)
    (row,) = imported.frame.to_dict("records")
    assert [row[name] for name in FEATURE_NAMES] == [21, 41, 31, 51]
    assert row["ts"] == DEFAULT_START.timestamp() + 5
    assert row["group"] == "lwsndr/motes7-8"
    assert imported.unmatched_count == 3


def test_an_event_is_no_fault(tmp_path: Path) -> None:
    """The files' label 1 becomes the column `event`; every reading is labelled Normal."""
    paths = _write_motes(tmp_path, "1 7 40 20 0\n2 7 41 21 1\n", "1 8 51 31 0\n2 8 51 31 0\n")
    frame = join_motes(*paths, group="a/b", start=DEFAULT_START).frame
    assert frame["label"].tolist() == [1, 1]
    assert frame["event"].tolist() == [0, 1]


@pytest.mark.parametrize("rows", ["", "1 7 40\n", "1 7 40 warm 0\n", "1 7 40 20 0\n1 7 40 20 0\n"])
def test_another_file_is_refused(tmp_path: Path, rows: str) -> None:
    """A file that isn't one of LWSNDR's is refused with its name and what was expected."""
    paths = _write_motes(tmp_path, "1 7 40 20 0\n", rows)
    with pytest.raises(InvalidInputError, match=r"b\.txt: is not an LWSNDR file.*expected"):
        join_motes(*paths, group=None, start=DEFAULT_START)


def test_the_real_recordings_can_be_imported(lwsndr: Path) -> None:
    """Motes 1 and 2 give 4,690 readings at 5 s, 58 of them in the staged event."""
    first, second = (lwsndr / f"multihop_outdoor_moteid{mote}_data.txt" for mote in (1, 2))
    frame = join_motes(first, second, group=None, start=DEFAULT_START).frame
    assert len(frame) == 4690
    assert frame["event"].sum() == 58
    assert frame["ts"].diff().dropna().unique().tolist() == [5.0]
