import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.core.atomic_write import atomic_file, atomic_folder
from tests.conftest import ROOT

# Writes half of what it has to write, says so, and waits to be killed.
_KILLED_WRITER = """
import sys, time
from pathlib import Path
from monitor.core.atomic_write import {writer}
with {writer}(Path(sys.argv[1])) as temporary_path:
    ({file}).write_text("half")
    print("written", flush=True)
    time.sleep(60)
"""


class _ExpectedError(Exception):
    """The exception that a test raises in the middle of a write."""


def _write_and_raise(path: Path | None) -> None:
    if path:
        path.write_text("half")
    raise _ExpectedError


def _kill_while_writing(path: Path, writer: str, file: str) -> None:
    code = _KILLED_WRITER.format(writer=writer, file=file)
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("old", [None, "old"])
def test_a_file_is_replaced(tmp_path: Path, old: str | None) -> None:
    """The file has its new content when the block ends, and not before; nothing else is left."""
    path = tmp_path / "new" / "file"
    if old:
        path.parent.mkdir()
        path.write_text(old)
    with atomic_file(path) as temporary_path:
        temporary_path.write_text("new")
        assert path.exists() == (old is not None)
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("is_written", [False, True])
def test_an_exception_leaves_the_file(tmp_path: Path, *, is_written: bool) -> None:
    """If the block raises an exception, the old file is unchanged and no temporary file is left."""
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(_ExpectedError), atomic_file(path) as temporary_path:
        _write_and_raise(temporary_path if is_written else None)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_rename_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the temporary file can't be renamed, it is deleted."""
    path = tmp_path / "file"
    path.write_text("old")

    def fail(_self: Path, _target: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(PermissionError), atomic_file(path) as temporary_path:
        temporary_path.write_text("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_process_leaves_the_file(tmp_path: Path) -> None:
    """If the process is killed during a write, the old file is unchanged, and a temporary file remains."""
    path = tmp_path / "file"
    path.write_text("old")
    _kill_while_writing(path, "atomic_file", "temporary_path")
    assert path.read_text() == "old"
    (temporary_path,) = set(tmp_path.iterdir()) - {path}
    assert temporary_path.name.startswith(".file.")
    assert temporary_path.suffix == ".part"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file that a symbolic link points to is replaced, and not the link."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    link.symlink_to(file)
    with atomic_file(link) as temporary_path:
        temporary_path.write_text("new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_a_device_is_written_to() -> None:
    """A device is written to and not replaced."""
    with atomic_file(Path(os.devnull)) as temporary_path:
        temporary_path.write_text("new")
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("has_old", [False, True])
def test_a_folder_is_replaced(tmp_path: Path, *, has_old: bool) -> None:
    """The folder has its new content alone when the block ends, and not before; nothing else is left."""
    folder = tmp_path / "new" / "folder"
    if has_old:
        folder.mkdir(parents=True)
        (folder / "old").write_text("old")
    with atomic_folder(folder) as temporary_path:
        (temporary_path / "sub").mkdir()
        (temporary_path / "sub" / "file").write_text("new")
        assert folder.exists() == has_old
    assert sorted(path.name for path in folder.rglob("*")) == ["file", "sub"]
    assert list(folder.parent.iterdir()) == [folder]


def test_an_exception_leaves_the_folder(tmp_path: Path) -> None:
    """If the block raises an exception, the old folder is unchanged and no temporary folder is left."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_text("old")
    with pytest.raises(_ExpectedError), atomic_folder(folder) as temporary_path:
        _write_and_raise(temporary_path / "new")
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_failing_rename_restores_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the temporary folder can't be renamed, the old folder gets its name back."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_text("old")
    rename = Path.rename

    def fail_for_draft(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise PermissionError
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_draft)
    with pytest.raises(PermissionError), atomic_folder(folder) as temporary_path:
        (temporary_path / "new").write_text("new")
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_killed_process_leaves_the_folder(tmp_path: Path) -> None:
    """If the process is killed during a write, the old folder is unchanged."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_text("old")
    _kill_while_writing(folder, "atomic_folder", 'temporary_path / "new"')
    assert [path.name for path in folder.iterdir()] == ["old"]
