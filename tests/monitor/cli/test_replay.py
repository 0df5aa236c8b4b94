import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.cli.main import main
from tests.conftest import TIMEOUT_S, Mosquitto, free_port, wait_until
from tests.support.processes import Monitor, connect_client, run_monitor, unresponsive_broker
from tests.support.toy_bundle import NAMES

HEADER = f"ts,group,{','.join(NAMES)},label"


def write_recording(folder: Path, *rows: str) -> str:
    """Write a recording; return its path."""
    path = folder / "recording.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return str(path)


def write_settings(folder: Path, port: int, extra_toml: str = "") -> str:
    """Write settings for a broker; return their path."""
    path = folder / "replay.toml"
    path.write_text(f"[mqtt]\nport = {port}\n{extra_toml}\n")
    return str(path)


@pytest.mark.parametrize("speed", ["0", "1e12"])
def test_replay(tmp_path: Path, mosquitto: Mosquitto, speed: str) -> None:
    """Each row is published on its group's topic, in order, with its own ts; unreadable values are null."""
    file = write_recording(
        tmp_path, "1000.5,a/b,20,50,20.5,50,1", "1001,c/d,1,2,3,4,-1", "2010-07-10T12:00:00,a/b,,50,x,50,1"
    )
    with connect_client(mosquitto.port, "plant/#") as other:
        config = write_settings(tmp_path, mosquitto.port)
        assert main(["replay", file, "--config", config, "--speed", speed]) == 0
        wait_until(lambda: len(other.messages) == 3, "all arrive")
        assert [topic for topic, _, _ in other.messages] == [
            "plant/a/b/reading",
            "plant/c/d/reading",
            "plant/a/b/reading",
        ]
        first, _, third = other.payloads("plant/")
        assert first == {"ts": 1000.5, **dict(zip(NAMES, [20, 50, 20.5, 50], strict=True))}
        assert third == {"ts": 1278763200, **dict(zip(NAMES, [None, 50, None, 50], strict=True))}


def test_replay_with_fields(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Values are published under the paths of input.fields."""
    config = write_settings(
        tmp_path, mosquitto.port, '[input.fields]\ntemperature_1 = "data.t1"\nts = "data.time"'
    )
    with connect_client(mosquitto.port, "plant/#") as other:
        assert main(["replay", write_recording(tmp_path, "5,a/b,1,2,3,4,1"), "--config", config]) == 0
        wait_until(lambda: other.messages, "it arrives")
        (payload,) = other.payloads("plant/")
        assert payload == {"data": {"t1": 1, "time": 5}, "humidity_1": 2, "temperature_2": 3, "humidity_2": 4}


def test_replayed_readings_are_judged(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Each of ten thousand readings that are sent as fast as possible arrives and is counted once."""
    rows = [f"{1000 + 5 * (n // 10)},line/{n % 10},20,50,20,50,1" for n in range(10_000)]
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with run_monitor(monitor):
        file = write_recording(tmp_path, *rows)
        config = write_settings(tmp_path, mosquitto.port)
        assert main(["replay", file, "--config", config, "--speed", "0"]) == 0
        expected = {"filling": 20, "judged": 9980}
        wait_until(lambda: monitor.outcomes() == expected, f"the outcomes are {expected}")
        assert monitor.metric("groups", state="normal") == 10


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ((), "has no readings"),
        (("x,a/b,1,2,3,4,1", "5,a/b,,,,,1"), "no row can be judged; row 1: ts is 'x'"),
    ],
    ids=["empty", "unreadable"],
)
def test_no_usable_row(
    tmp_path: Path,
    mosquitto: Mosquitto,
    rows: tuple[str, ...],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A recording without one row that can be judged is exit code 2, with the first reason."""
    file = write_recording(tmp_path, *rows)
    assert main(["replay", file, "--config", write_settings(tmp_path, mosquitto.port), "--speed", "0"]) == 2
    assert f"{file}: {reason}" in capsys.readouterr().err


def test_no_broker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a broker the command exits with 1 and the reason, instead of waiting."""
    config = write_settings(tmp_path, free_port())
    assert main(["replay", write_recording(tmp_path, "5,a/b,1,2,3,4,1"), "--config", config]) == 1
    assert "no connection to 127.0.0.1" in capsys.readouterr().err


def test_stopped_while_it_connects(tmp_path: Path) -> None:
    """Ctrl-C before the broker has answered is exit code 130 at once."""
    with unresponsive_broker() as (port, data_received):
        file = write_recording(tmp_path, "5,a/b,1,2,3,4,1")
        command = ["replay", file, "--config", write_settings(tmp_path, port)]
        replay = subprocess.Popen(
            [sys.executable, "-m", "monitor", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert data_received.wait(TIMEOUT_S)
        replay.send_signal(signal.SIGINT)
        output, errors = replay.communicate(timeout=TIMEOUT_S)
    assert (replay.returncode, errors) == (130, b"")
    assert output == b"published 0 readings\n"


@pytest.mark.parametrize("group", ["alone", "a/b/c", "a/+"])
def test_group_without_topic(
    tmp_path: Path, mosquitto: Mosquitto, group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A group that fits no template causes exit code 2; the message has the row and the expected form."""
    config = write_settings(tmp_path, mosquitto.port)
    assert main(["replay", write_recording(tmp_path, f"5,{group},1,2,3,4,1"), "--config", config]) == 2
    text = capsys.readouterr().err
    assert f"row 1: group {group!r}" in text
    assert "plant/{line}/{station}/reading" in text
