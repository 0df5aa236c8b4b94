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
    """Write a recording of two stations; the second has a fault at readings 40 to 49 and at 140 to 149."""
    path = folder / "recording.csv"
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
    arguments = ["--bundle", bundle, "--recording", recording, *extra_arguments]
    return subprocess.Popen(
        [sys.executable, "-m", "monitor", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_score_card(tmp_path: Path, toy_bundle: Path) -> None:
    """The demo replays a recording to its end, prints each alert, and prints the score card."""
    demo = start_demo(toy_bundle, write_recording(tmp_path, 60))
    output, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert errors == ""
    assert re.search(r"firing +line1/b", output)
    assert re.search(r"resolved +line1/b", output)
    assert "/metrics" in output
    card = dict(re.findall(r"│ ([\w ,]+?) +│ (\w+)", output))
    assert card["windows judged"] == "116"
    figures = [card[name] for name in ("faults injected", "found", "missed", "false alarms")]
    assert figures == ["1", "1", "0", "0"]


def test_interrupt(tmp_path: Path, toy_bundle: Path) -> None:
    """Ctrl-C ends the demo with the score card and without a traceback."""
    demo = start_demo(toy_bundle, write_recording(tmp_path, 10_000))
    assert demo.stdout is not None
    seen: list[str] = []
    wait_until(lambda: seen.append(demo.stdout.readline()) or "Ctrl-C" in seen[-1], "the replay has started")
    demo.send_signal(signal.SIGINT)
    output, errors = demo.communicate(timeout=TIMEOUT_S)
    assert demo.returncode == 0
    assert errors == ""
    assert "Score card" in output


def test_missing_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a bundle the error says that `make demo` makes one."""
    assert main(["demo", "--bundle", str(tmp_path / "none")]) == 2
    assert "none is missing; `make demo` makes both" in capsys.readouterr().err


def test_default_port_in_use(tmp_path: Path, toy_bundle: Path) -> None:
    """If another process uses the default HTTP port, the demo uses a free port."""
    with ExitStack() as taken:
        with suppress(OSError):  # another process may use it already
            taken.enter_context(socket.create_server(("127.0.0.1", 9108)))
        output, errors = start_demo(toy_bundle, write_recording(tmp_path, 20)).communicate(timeout=TIMEOUT_S)
    assert errors == ""
    assert re.search(r"page +http://127\.0\.0\.1:\d+/", output)
    assert "127.0.0.1:9108" not in output
