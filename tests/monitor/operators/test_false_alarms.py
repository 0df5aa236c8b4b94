import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.core.verdicts import AlertEvent
from monitor.operators.false_alarms import FalseAlarmFile
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES
from tests.support.training_features import FEATURE_NAMES
from training.data import windows_file

EVENT = AlertEvent(
    "line1/a:1000", "firing", "line1/a", 0.9, 1.0, None, [1.0, 2.0, 3.0], [HEALTHY, HEALTHY, FAULTY],
    out_of_range=False,
)  # fmt: skip
SPECIAL_NAME = '=HYPERLINK("x"),\n\'%41é'


@pytest.fixture
def file(tmp_path: Path) -> FalseAlarmFile:
    """The path of a file that doesn't exist, in a folder that doesn't exist."""
    return FalseAlarmFile(tmp_path / "var" / "false.csv", NAMES, 3)


def test_training_reads_the_file(file: FalseAlarmFile) -> None:
    """Training reads the written windows: Normal, oldest reading first, in their order."""
    assert file.append(EVENT)
    assert file.append(replace(EVENT, id=f"{SPECIAL_NAME}:1", group=SPECIAL_NAME))
    data = windows_file.read(file.path, FEATURE_NAMES, 3, 5.0)
    assert data.windows.tolist() == [EVENT.window_values] * 2
    assert not data.faulty.any()


def test_one_row_per_incident(file: FalseAlarmFile) -> None:
    """An incident has one row, even if reported twice; an id with the same beginning has its own row."""
    ids = ["a:10", "a:1", f"{SPECIAL_NAME}:1", "a:100"]
    assert [file.append(replace(EVENT, id=name)) for name in [*ids, *ids]] == [True] * 4 + [False] * 4
    lines = file.path.read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "incident", "a:10", "a:1", "%3DHYPERLINK%28%22x%22%29%2C%0A%27%2541%C3%A9:1", "a:100",
    ]  # fmt: skip


@pytest.mark.parametrize("missing_bytes", [1, 5, 60])
def test_part_of_a_row(file: FalseAlarmFile, missing_bytes: int) -> None:
    """Part of a row, left by a power cut, is replaced by the next row, also if that has the same incident."""
    file.append(EVENT)
    file.append(replace(EVENT, id="b:1"))
    os.truncate(file.path, file.path.stat().st_size - missing_bytes)
    before = windows_file.read(file.path, FEATURE_NAMES, 3, 5.0) if missing_bytes == 1 else None
    assert file.append(replace(EVENT, id="b:1")) is (before is None)
    assert file.append(replace(EVENT, id="c:1"))
    assert [line.partition(",")[0] for line in file.path.read_text().splitlines()[1:]] == [
        "line1/a:1000", "b:1", "c:1",
    ]  # fmt: skip
    assert len(windows_file.read(file.path, FEATURE_NAMES, 3, 5.0)) == 3


def test_other_columns(file: FalseAlarmFile) -> None:
    """A file with other columns is not changed."""
    file.path.parent.mkdir()
    file.path.write_text("V0,V1,Label\n1,2,1\n")
    with pytest.raises(
        ValueError, match="begins with 'V0,V1,Label'; expected the columns incident,ts,t0_temp"
    ):
        file.append(EVENT)
    assert file.path.read_text() == "V0,V1,Label\n1,2,1\n"


def test_disk_full(file: FalseAlarmFile) -> None:
    """Without space for a row the file is unchanged."""
    file.append(EVENT)
    before = file.path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limit[1]))
    try:
        with pytest.raises(OSError, match=r"no room|too large"):
            file.append(replace(EVENT, id="b:1"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert file.path.read_bytes() == before
