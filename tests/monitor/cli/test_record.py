import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.main import main
from monitor.recordings.reader import Recording
from tests.conftest import TIMEOUT_S, Mosquitto, free_port, wait_until
from tests.support.processes import Monitor, Proxy, connect_client, run_monitor, unresponsive_broker
from tests.support.settable_clock import SettableClock
from tests.support.toy_bundle import HEALTHY, NAMES
from tests.support.training_features import FEATURE_NAMES
from training.data import recordings

HEADER = f"ts,group,{','.join(NAMES)}"
TOPIC = "plant/a/b/reading"


def reading(ts: float, **changes: object) -> dict[str, object]:
    """Return the payload of a healthy reading, with some fields changed."""
    return {"ts": ts, **dict(zip(NAMES, HEALTHY, strict=True)), **changes}


class RecordProcess:
    """A `sensor-monitor record` as a real process."""

    def __init__(
        self,
        folder: Path,
        bundle: Path,
        port: int,
        *extra_arguments: str,
        command: tuple[str, ...] = (sys.executable, "-m", "monitor"),
        header: str = HEADER,
    ) -> None:
        self.header = header
        self.out = folder / "recordings" / "plant.csv"
        config = folder / "record.toml"
        config.write_text(f'bundle = "{bundle}"\n[mqtt]\nport = {port}\nclient_id = "monitor-under-test"\n')
        words = ["record", "--out", self.out, "--config", config, *extra_arguments]
        self._errors_file = folder / "record.err"
        with self._errors_file.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, *words], stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def rows(self) -> list[str]:
        """Return the file's rows, without the readings that were sent to detect that recording has begun."""
        return [row for row in self.all_rows() if ",first/one," not in row]

    def all_rows(self) -> list[str]:
        """Return the file's lines after the header; none while there is no file."""
        if not self.out.exists():
            return []
        first, *rest = self.out.read_text().splitlines() or [self.header]
        assert first == self.header
        return rest

    def errors(self) -> str:
        """Return the text on stderr."""
        return self._errors_file.read_text()

    def stop(self, signal_number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; return exit code and output."""
        self.process.send_signal(signal_number)
        output, _ = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, output


@contextmanager
def record_process(
    folder: Path, bundle: Path, port: int, *extra_arguments: str, **options: Any
) -> Iterator[RecordProcess]:
    """Start recording; yield once readings arrive in the file, and end the process afterwards."""
    record = RecordProcess(folder, bundle, port, *extra_arguments, **options)
    try:
        with connect_client(port) as plant:

            def is_recording() -> bool:
                plant.publish("plant/first/one/reading", reading(time.time()))
                return bool(record.all_rows())

            wait_until(is_recording, "it records")
        yield record
    finally:
        if record.process.poll() is None:
            record.process.kill()
        record.process.communicate()


def test_what_a_monitor_takes_in_is_written(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Accepted readings, also from arrays, are written in the order of their group; others are counted."""
    with (
        record_process(tmp_path, toy_bundle, mosquitto.port) as record,
        connect_client(mosquitto.port) as plant,
    ):
        plant.publish(TOPIC, [reading(1000.5), reading(1005), reading(1005)])
        plant.publish(TOPIC, reading(1002))
        plant.publish(TOPIC, reading(4e9))
        plant.publish(TOPIC, reading(1010, humidity_1="50"))
        plant.publish("plant/c/d/reading", reading(7, temperature_2=-1.25))
        plant.publish(TOPIC, reading(1010))
        wait_until(lambda: len(record.rows()) >= 4, "all are in the file")
        code, output = record.stop()
    assert code == 0
    assert record.rows() == [
        "1000.5,a/b,20.0,50.0,20.5,50.0",
        "1005.0,a/b,20.0,50.0,20.5,50.0",
        "7.0,c/d,20.0,50.0,-1.25,50.0",
        "1010.0,a/b,20.0,50.0,20.5,50.0",
    ]
    assert f"{len(record.all_rows())} readings of 3 group(s)" in output
    assert all(text in output for text in ("duplicate 1", "late 1", "future 1", "malformed 1"))
    assert "a number in quotes?" in record.errors()


@pytest.mark.parametrize("step", [3e7, -3e7])
def test_clock_that_is_set(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, step: float) -> None:
    """Readings without `ts` go on with times by the clock as it was before, so all rows are in order."""
    clock = SettableClock(tmp_path / "clock")
    with (
        record_process(tmp_path, toy_bundle, mosquitto.port, command=clock.command) as record,
        connect_client(mosquitto.port) as plant,
    ):
        payload = dict(zip(NAMES, HEALTHY, strict=True))
        plant.publish(TOPIC, payload)
        wait_until(record.rows, "the first is in the file")
        clock.set(step)
        plant.publish(TOPIC, payload)
        wait_until(lambda: len(record.rows()) == 2, "the second is in the file")
        wait_until(lambda: "this machine's clock was set" in record.errors(), "the step is logged")
    first, second = (float(row.split(",")[0]) for row in record.rows())
    assert 0 < second - first < TIMEOUT_S


def test_killed_process_leaves_valid_rows(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """After SIGKILL the file has only complete rows, which monitor and training can read."""
    with (
        record_process(tmp_path, toy_bundle, mosquitto.port) as record,
        connect_client(mosquitto.port) as plant,
    ):
        for ts in range(1000, 3000, 5):
            plant.publish(TOPIC, reading(ts), qos=0)
        wait_until(lambda: len(record.rows()) > 50, "some are in the file")
        record.process.kill()
        record.process.wait(TIMEOUT_S)
        rows = [row for row in Recording(record.out).rows() if row.group == "a/b"]
    assert [row.ts for row in rows] == [1000 + 5 * number for number in range(len(rows))]
    assert not any(row.problem for row in rows)
    frame = recordings.read(record.out, FEATURE_NAMES)
    assert (frame["group"] == "a/b").sum() == len(rows)
    assert recordings.complete_mask(frame, FEATURE_NAMES).all()


def test_other_clients_are_undisturbed(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A running monitor with the same settings also gets every reading; the broker retains no new message."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with run_monitor(monitor), record_process(tmp_path, toy_bundle, mosquitto.port) as record:
        with connect_client(mosquitto.port) as plant:
            for ts in (1000, 1005, 1010):
                plant.publish(TOPIC, reading(ts))
        wait_until(lambda: len(record.rows()) == 3, "the recorder has them")
        wait_until(lambda: monitor.outcomes().get("judged", 0) >= 1, "the monitor has them")
        assert record.stop(signal.SIGTERM)[0] == 0
        with connect_client(mosquitto.port, "#") as late:
            late.publish("end", "x")
            wait_until(lambda: late.texts("end"), "the retained messages have arrived")
            retained_roots = {topic.split("/")[0] for topic, _, retained in late.messages if retained}
        assert retained_roots == {"sensor-monitor"}  # the monitor's own
        assert not monitor.has_exited()
        assert "broke" not in monitor.log()  # the broker didn't close its connection either


def test_reconnect(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """After a reconnection the same file is continued, and the log says that readings may be missing."""
    proxy = Proxy(mosquitto.port)
    try:
        with (
            record_process(tmp_path, toy_bundle, proxy.port) as record,
            connect_client(mosquitto.port) as plant,
        ):
            proxy.disconnect_all()
            wait_until(lambda: "connected again" in record.errors(), "it is connected again")
            plant.publish(TOPIC, reading(1000))
            wait_until(lambda: record.rows() and record.rows()[-1].startswith("1000.0,a/b"), "it continues")
            assert record.stop()[0] == 0
            assert "is missing in the recording" in record.errors()
    finally:
        proxy.close()


def test_stops_after_seconds(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """With `--seconds` the exit code is 0, or 130 if the command is interrupted before that time."""
    with record_process(tmp_path, toy_bundle, mosquitto.port, "--seconds", "3") as record:
        assert record.process.wait(TIMEOUT_S) == 0
    record.out.unlink()
    with record_process(tmp_path, toy_bundle, mosquitto.port, "--seconds", "9999") as record:
        assert record.stop()[0] == 130
        assert record.all_rows()


def test_stopped_while_it_connects(tmp_path: Path, toy_bundle: Path) -> None:
    """Ctrl-C before the broker has answered is exit code 130 at once, and leaves no file."""
    with unresponsive_broker() as (port, data_received):
        record = RecordProcess(tmp_path, toy_bundle, port)
        assert data_received.wait(TIMEOUT_S)
        code, output = record.stop()
    assert (code, record.errors()) == (130, "")
    assert "not written, for it was stopped before there was a connection" in output
    assert not record.out.exists()


def test_features_without_a_bundle(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """With `--features` the columns are these, and no bundle is needed: the settings' one is not there."""
    names = ("vibration_1", "current_1")
    record = RecordProcess(
        tmp_path,
        tmp_path / "none",
        mosquitto.port,
        "--features",
        *names,
        header="ts,group,vibration_1,current_1",
    )
    try:
        with connect_client(mosquitto.port) as plant:

            def is_recording() -> bool:
                plant.publish("plant/hall/pump/reading", {"ts": 1000, "vibration_1": 2.5, "current_1": 20})
                return bool(record.all_rows())

            wait_until(is_recording, "it records")
        assert record.all_rows()[0] == "1000.0,hall/pump,2.5,20.0"
        assert record.stop()[0] == 0
    finally:
        record.process.kill()
        record.process.communicate()


@pytest.mark.parametrize(
    ("flags", "source", "message"),
    [
        (["--features", "Vibration"], "", "--features: 'Vibration' is no name of a feature"),
        (["--features", "ts"], "", "--features: 'ts' is a column of recordings that is no feature"),
        (["--features", "a_1", "a_1"], "", "--features: a name comes twice"),
        (["--features", "a_1", "--bundle", "x"], "", "--features goes without --bundle"),
        (
            ["--features", "a_1"],
            '[[input.sources]]\ntopic = "p/{g}/{feature}"\n',
            "input.align.period is missing",
        ),
    ],
)
def test_features_that_can_not_be_recorded(
    flags: list[str], source: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong names, a second say on the features and an unknown pace are one line, and exit code 2."""
    config = tmp_path / "record.toml"
    config.write_text(source)
    assert main(["record", "--out", str(tmp_path / "o.csv"), "--config", str(config), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def _run_record(folder: Path, bundle: Path, port: int, out: Path, *extra_arguments: str) -> int:
    config = folder / "record.toml"
    config.write_text(f'bundle = "{bundle}"\n[mqtt]\nport = {port}\n')
    return main(["record", "--out", str(out), "--config", str(config), *extra_arguments])


def test_nothing_is_overwritten(tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An existing file is not overwritten: exit code 2, before any connection."""
    out = tmp_path / "plant.csv"
    out.write_text("years of work")
    assert _run_record(tmp_path, toy_bundle, free_port(), out) == 2
    assert f"--out: {out} is there already" in capsys.readouterr().err
    assert out.read_text() == "years of work"
    assert _run_record(tmp_path, toy_bundle, free_port(), tmp_path / "plant.parquet") == 2
    assert "ends in .csv" in capsys.readouterr().err


def test_without_readings_there_is_no_recording(
    tmp_path: Path, toy_bundle: Path, mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a broker, or without readings, the exit code is 1 with the reason, and no file is left."""
    out = tmp_path / "plant.csv"
    assert _run_record(tmp_path, toy_bundle, free_port(), out) == 1
    assert "no connection to 127.0.0.1" in capsys.readouterr().err
    assert _run_record(tmp_path, toy_bundle, mosquitto.port, out, "--seconds", "0.1") == 1
    assert "no reading came" in capsys.readouterr().err
    assert not out.exists()
