import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.telemetry.audit_file import AuditFile
from tests.conftest import TIMEOUT_S, wait_until


class Harness:
    """A file whose lines a test appends, and the lines that were dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dropped_count = 0
        self.file = AuditFile(path, self._count_dropped)

    def _count_dropped(self) -> None:
        self.dropped_count += 1


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """An audit file in a folder that doesn't exist yet."""
    built = Harness(tmp_path / "logs" / "audit")
    yield built
    built.file.close(TIMEOUT_S)


def test_append(harness: Harness) -> None:
    """Lines of any thread are all written at the latest when the file is closed, for this user alone."""
    threads = [
        threading.Thread(target=lambda n=number: [harness.file.append(f"{n}") for _ in range(100)])  # type: ignore[misc]
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    harness.file.close(TIMEOUT_S)
    assert sorted(harness.path.read_text().splitlines()) == sorted(["0", "1", "2", "3"] * 100)
    assert harness.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("remove", [Path.unlink, lambda path: path.rename(path.with_name("old"))])
def test_rotated(harness: Harness, remove: object) -> None:
    """A file that was renamed or deleted is begun again."""
    harness.file.append("before")
    wait_until(lambda: harness.path.read_text() == "before\n", "it is written")
    assert callable(remove)
    remove(harness.path)
    harness.file.append("after")
    wait_until(lambda: harness.path.exists() and harness.path.read_text() == "after\n", "it is written")


def test_incomplete_line(tmp_path: Path) -> None:
    """A line that an earlier process left incomplete is no part of the next one."""
    (tmp_path / "audit").write_text("whole\nhal")
    file = AuditFile(tmp_path / "audit")
    file.append("next")
    file.close(TIMEOUT_S)
    assert (tmp_path / "audit").read_text() == "whole\nhal\nnext\n"


def test_unwritable(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """While the file can't be written lines wait, up to 4 MiB; then they are dropped and counted."""
    caplog.set_level("INFO")
    harness.file.append("first")
    wait_until(lambda: harness.path.read_text() == "first\n", "it is written")
    harness.path.unlink()
    harness.path.mkdir()
    line = "x" * 99_999
    for _ in range(50):
        harness.file.append(line)
    wait_until(lambda: harness.file.problem, "the problem is known")
    assert harness.dropped_count == 50 - (4 << 20) // 100_000
    harness.path.rmdir()
    wait_until(lambda: not harness.file.problem, "it can be written again")
    assert harness.path.read_text() == f"{line}\n" * (50 - harness.dropped_count)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A link in the file's place is refused."""
    (tmp_path / "audit").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match=r"audit|symbolic"):
        AuditFile(tmp_path / "audit")
    assert not (tmp_path / "other").exists()
