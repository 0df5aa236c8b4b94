import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from monitor.cli.main import main
from tests.conftest import TIMEOUT_S, wait_until
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES


def write_recording(folder: Path, reading_count: int) -> Path:
    """Write a recording of two stations, where the second has two faults of ten readings each."""
    path = folder / "write_recording.csv"
    lines = [f"ts,group,{','.join(NAMES)},label"]
    for number in range(reading_count):
        faulty = number % 100 in range(40, 50) and number < 200
        for group, broken in (("line1/a", False), ("line1/b", faulty)):
            values = ",".join(str(value) for value in (FAULTY if broken else HEALTHY))
            lines.append(f"{1000 + 5 * number},{group},{values},{-1 if broken else 1}")
    path.write_text("\n".join(lines) + "\n")
    return path


def start_demo(bundle: Path, recording: Path, *extra_arguments: str) -> subprocess.Popen[str]:
    """Start the demo as a process."""
    command = [
        sys.executable,
        "-m",
        "monitor",
        "demo",
        "--bundle",
        bundle,
        "--recording",
        recording,
        *extra_arguments,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_score_card(tmp_path: Path, toy_bundle: Path) -> None:
    """The demo runs a recording to its end, shows each alert, and keeps score."""
    demo = start_demo(toy_bundle, write_recording(tmp_path, 60))
    output, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert errors == ""
    assert re.search(r"firing +line1/b", output)
    assert re.search(r"resolved +line1/b", output)
    assert "/metrics" in output
    card = dict(re.findall(r"│ ([\w ,]+?) +│ (\w+)", output))
    assert card["windows judged"] == "116"
    assert (card["faults injected"], card["found"], card["missed"], card["false alarms"]) == (
        "1",
        "1",
        "0",
        "0",
    )


def test_interrupt(tmp_path: Path, toy_bundle: Path) -> None:
    """Ctrl-C ends the demo with the score card, not with a traceback."""
    demo = start_demo(toy_bundle, write_recording(tmp_path, 10_000))
    assert demo.stdout is not None
    seen: list[str] = []
    wait_until(lambda: seen.append(demo.stdout.readline()) or "Ctrl-C" in seen[-1], "it is under way")
    demo.send_signal(signal.SIGINT)
    output, errors = demo.communicate(timeout=TIMEOUT_S)
    assert demo.returncode == 0
    assert errors == ""
    assert "Score card" in output


def test_missing_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a bundle the demo says what makes one."""
    assert main(["demo", "--bundle", str(tmp_path / "none")]) == 2
    assert "none is missing; `make demo` makes both" in capsys.readouterr().err


def test_usual_port_in_use(tmp_path: Path, toy_bundle: Path) -> None:
    """Where another process has the usual port, the demo answers on another."""
    with ExitStack() as taken:
        with suppress(OSError):  # somebody else may have it already
            taken.enter_context(socket.create_server(("127.0.0.1", 9108)))
        output, errors = start_demo(toy_bundle, write_recording(tmp_path, 20)).communicate(timeout=TIMEOUT_S)
    assert errors == ""
    assert re.search(r"page +http://127\.0\.0\.1:\d+/", output)
    assert "127.0.0.1:9108" not in output
