import os
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.core.verdicts import AlertEvent
from monitor.groups.reading_history import ReadingsAround
from monitor.operators.false_alarms import FalseAlarmFile
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES
from tests.support.training_features import FEATURE_NAMES
from training.data import recordings

EVENT = AlertEvent(
    "line1/a:1000", "firing", "line1/a", 0.9, 1.0, None, [1.0, 2.0, 3.0], [HEALTHY, HEALTHY, FAULTY],
    out_of_range=False,
)  # fmt: skip
AROUND = ReadingsAround(np.array([0.0, 1.0, 2.0, 3.0]), np.array([HEALTHY, HEALTHY, HEALTHY, FAULTY]))
SPECIAL_NAME = '=HYPERLINK("x"),\n\'%41é'


@pytest.fixture
def file(tmp_path: Path) -> FalseAlarmFile:
    """The path of a file that doesn't exist, in a folder that doesn't exist."""
    return FalseAlarmFile(tmp_path / "var" / "false.csv", NAMES)


def _incidents(file: FalseAlarmFile) -> list[str]:
    """Return the incidents in the file, in order."""
    lines = file.path.read_text().splitlines()[1:]
    return list(dict.fromkeys(line.partition(",")[0] for line in lines))


def test_the_file_is_a_recording(file: FalseAlarmFile) -> None:
    """Training reads the readings in their order, labelled Normal, without complaint about the incident."""
    assert file.append(EVENT, AROUND)
    assert file.append(replace(EVENT, id=f"{SPECIAL_NAME}:1", group=SPECIAL_NAME), AROUND)
    frame = recordings.read_labelled(file.path, FEATURE_NAMES)
    assert frame["ts"].tolist() == AROUND.ts.tolist() * 2
    assert frame[list(NAMES)].to_numpy().tolist() == AROUND.values.tolist() * 2
    assert (frame["label"] == 1).all()
    assert frame["group"].nunique() == 2
    assert recordings.ignored_columns(frame, FEATURE_NAMES) == []


def test_an_incident_is_written_once(file: FalseAlarmFile) -> None:
    """An incident has its readings once, even if reported twice; a longer id is another one."""
    ids = ["a:10", "a:1", f"{SPECIAL_NAME}:1", "a:100"]
    assert [file.append(replace(EVENT, id=name), AROUND) for name in [*ids, *ids]] == [True] * 4 + [False] * 4
    assert _incidents(file) == [
        "a:10", "a:1", "%3DHYPERLINK%28%22x%22%29%2C%0A%27%2541%C3%A9:1", "a:100",
    ]  # fmt: skip


@pytest.mark.parametrize("missing_bytes", [1, 5, 20])
def test_part_of_a_row(file: FalseAlarmFile, missing_bytes: int) -> None:
    """Part of a row, left by a power cut, is removed; the rows before it stay, and others follow."""
    file.append(EVENT, AROUND)
    file.append(replace(EVENT, id="b:1"), AROUND)
    os.truncate(file.path, file.path.stat().st_size - missing_bytes)
    assert not file.append(replace(EVENT, id="b:1"), AROUND)
    assert file.append(replace(EVENT, id="c:1"), AROUND)
    assert _incidents(file) == ["line1/a:1000", "b:1", "c:1"]
    assert len(recordings.read_labelled(file.path, FEATURE_NAMES)) == 3 * len(AROUND.ts) - (missing_bytes > 1)


def test_part_of_the_first_row(file: FalseAlarmFile) -> None:
    """An incident of which a power cut left only a part of its first row is written again."""
    file.append(EVENT, AROUND)
    size = file.path.stat().st_size
    file.append(replace(EVENT, id="b:1"), AROUND)
    os.truncate(file.path, size + 10)
    assert file.append(replace(EVENT, id="b:1"), AROUND)
    assert len(recordings.read_labelled(file.path, FEATURE_NAMES)) == 2 * len(AROUND.ts)


def test_other_columns(file: FalseAlarmFile) -> None:
    """A file with other columns is not changed."""
    file.path.parent.mkdir()
    file.path.write_text("V0,V1,Label\n1,2,1\n")
    with pytest.raises(
        ValueError, match="begins with 'V0,V1,Label'; expected the columns incident,ts,group,temp"
    ):
        file.append(EVENT, AROUND)
    assert file.path.read_text() == "V0,V1,Label\n1,2,1\n"


def test_disk_full(file: FalseAlarmFile) -> None:
    """Without space for a row the file is unchanged."""
    file.append(EVENT, AROUND)
    before = file.path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limit[1]))
    try:
        with pytest.raises(OSError, match=r"no room|too large"):
            file.append(replace(EVENT, id="b:1"), AROUND)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert file.path.read_bytes() == before
