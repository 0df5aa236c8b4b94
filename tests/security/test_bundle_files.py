"""Bundles from elsewhere whose folder has links, pipes, or files that nobody vouches for."""

import hashlib
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.bundle import BundleError, load
from monitor.bundle.files import read_file, read_verified
from monitor.cli.main import main
from tests.conftest import Mosquitto
from tests.support.processes import Monitor, run_monitor

PRIVATE = "what no stranger may read"
REPORT = "report/report.html"


@pytest.fixture
def folder(toy_bundle: Path, tmp_path: Path) -> Path:
    """A valid bundle that a test may attack with."""
    copy = tmp_path / "bundle"
    shutil.copytree(toy_bundle, copy)
    return copy


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of this machine that is no part of a bundle."""
    file = tmp_path / "password"
    file.write_text(PRIVATE)
    return file


def _sign(folder: Path, name: str, content: bytes) -> None:
    """Let SHA256SUMS name a file with this content."""
    lines = [line for line in (folder / "SHA256SUMS").read_text().splitlines() if not line.endswith(name)]
    lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}")
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


def _replace(path: Path, target: Path | str) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _dangling(folder: Path, _: Path) -> None:
    (folder / "spare").symlink_to("nowhere")


def _dangling_named(folder: Path, _: Path) -> None:
    _replace(folder / REPORT, "nowhere")


def _dangling_deep(folder: Path, _: Path) -> None:
    (folder / "report" / "a").mkdir()
    (folder / "report" / "a" / "b").symlink_to("nowhere")


def _report_link(folder: Path, secret: Path) -> None:
    _replace(folder / REPORT, secret)
    _sign(folder, REPORT, secret.read_bytes())


def _report_of_process(folder: Path, _: Path) -> None:
    _replace(folder / REPORT, "/proc/self/environ")


def _report_folder_link(folder: Path, secret: Path) -> None:
    outside = secret.parent / "outside"
    outside.mkdir()
    (outside / "report.html").write_text(PRIVATE)
    _replace(folder / "report", outside)
    _sign(folder, REPORT, PRIVATE.encode())


def _model_link(folder: Path, secret: Path) -> None:
    shutil.move(folder / "model.onnx", secret.parent / "model.onnx")
    (folder / "model.onnx").symlink_to(secret.parent / "model.onnx")


def _sums_link(folder: Path, secret: Path) -> None:
    shutil.move(folder / "SHA256SUMS", secret.parent / "sums")
    (folder / "SHA256SUMS").symlink_to(secret.parent / "sums")


def _unnamed_report(folder: Path, _: Path) -> None:
    (folder / "report" / "more.html").write_text(PRIVATE)


def _pipe(folder: Path, _: Path) -> None:
    (folder / REPORT).unlink()
    os.mkfifo(folder / REPORT)


def _pipe_as_model(folder: Path, _: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")


def _socket(folder: Path, _: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path has a length limit
        listener.bind("s")
        os.chdir(here)


def _huge(folder: Path, _: Path) -> None:
    with (folder / "golden.json").open("r+b") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no room


def _deep(folder: Path, _: Path) -> None:
    folder.joinpath(*["d"] * 100).mkdir(parents=True)


def _wide(folder: Path, _: Path) -> None:
    for number in range(1001):
        (folder / f"d{number}").mkdir()


ATTACKS = [
    _dangling,
    _dangling_named,
    _dangling_deep,
    _report_link,
    _report_of_process,
    _report_folder_link,
    _model_link,
    _sums_link,
    _unnamed_report,
    _pipe,
    _pipe_as_model,
    _socket,
    _huge,
    _deep,
    _wide,
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_check_refuses(
    folder: Path,
    secret: Path,
    tmp_path: Path,
    attack: Callable[[Path, Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`check` refuses links, pipes, sockets, too much and unnamed files, reads none, and is not held up."""
    attack(folder, secret)
    settings = tmp_path / "monitor.toml"
    settings.write_text(f'bundle = "{folder}"\n[store]\npath = "{tmp_path / "state.db"}"\n[http]\nport = 0\n')
    assert main(["check", "--config", str(settings)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"sensor-monitor: bundle {folder}: ")
    assert PRIVATE not in error


@pytest.mark.parametrize(
    "line", ["{digest}  report/../../password", "{digest}  //etc/hostname", "{digest}  a\0b"]
)
def test_names_stay_inside(folder: Path, secret: Path, line: str) -> None:
    """SHA256SUMS leads nowhere else."""
    with (folder / "SHA256SUMS").open("a") as file:
        file.write(line.format(digest=hashlib.sha256(secret.read_bytes()).hexdigest()) + "\n")
    with pytest.raises(BundleError, match="SHA256SUMS: line 6"):
        load(folder)


def test_report_of_a_running_monitor(
    mosquitto: Mosquitto, folder: Path, secret: Path, tmp_path: Path
) -> None:
    """/report serves what SHA256SUMS vouches for; no link, no other file, and not what changed since."""
    with run_monitor(Monitor(tmp_path, folder, mosquitto.port)) as monitor:
        assert monitor.get("/report") == (200, "<p>toy</p>")
        (folder / REPORT).write_text("<p>changed</p>")
        assert monitor.get("/report")[0] == 404
        for attack in (_report_link, _report_of_process):
            attack(folder, secret)
            status, body = monitor.get("/report")
            assert (status, PRIVATE in body, "PATH=" in body) == (404, False, False)
        shutil.rmtree(folder / "report")
        _report_folder_link(folder, secret)
        status, body = monitor.get("/report")
        assert (status, PRIVATE in body) == (404, False)


def test_folder_that_is_replaced(folder: Path, toy_bundle: Path, tmp_path: Path) -> None:
    """A bundle whose folder is replaced between two files is read from the folder that was opened."""
    scandir = os.scandir

    def replace_and_scan(directory: int) -> Any:
        if not (tmp_path / "before").exists():
            folder.rename(tmp_path / "before")
            shutil.copytree(toy_bundle, folder)
            (folder / "model.onnx").write_bytes(b"another")
        return scandir(directory)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", replace_and_scan)
        contents = read_verified(folder)
    assert (folder / "model.onnx").read_bytes() == b"another"
    assert contents["model.onnx"] == (toy_bundle / "model.onnx").read_bytes()


def test_a_link_to_the_folder(folder: Path, tmp_path: Path) -> None:
    """The folder that the settings name may be a link, for who wrote them chose it."""
    (tmp_path / "current").symlink_to(folder)
    assert load(tmp_path / "current").manifest == load(folder).manifest
    assert read_file(tmp_path / "current", REPORT) == b"<p>toy</p>"
