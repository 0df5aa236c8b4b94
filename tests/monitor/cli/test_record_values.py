import csv
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.cli.main import main
from monitor.recordings.reader import Recording
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES
from tests.support.value_plant import SOURCES_TOML, START_TS, Value, plant_values, read_events, send_values

FIRST_GROUP = "first/one"
"""The group that is sent until something is in the file."""


class RecordProcess:
    """A `sensor-monitor record` of a plant of single values, as a real process."""

    def __init__(
        self, folder: Path, bundle: Path, port: int, *extra_arguments: str, toml: str = SOURCES_TOML
    ) -> None:
        self.out = folder / "recording.csv"
        self.config = folder / "record.toml"
        self.config.write_text(f'bundle = "{bundle}"\n[mqtt]\nport = {port}\n{toml}')
        words = ["record", "--out", self.out, "--config", self.config, *extra_arguments]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "monitor", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self) -> list[dict[str, str]]:
        """Return the file's rows by column, without the first group."""
        return [row for row in self.all_rows() if row["group"] != FIRST_GROUP]

    def all_rows(self) -> list[dict[str, str]]:
        """Return the file's rows by column."""
        if not self.out.exists():
            return []
        with self.out.open(newline="") as file:
            return list(csv.DictReader(file))

    def stop(self) -> tuple[int, str]:
        """End it with SIGTERM; return exit code and output."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, output


@contextmanager
def record_process(
    folder: Path, bundle: Path, port: int, *extra_arguments: str, toml: str = SOURCES_TOML
) -> Iterator[tuple[RecordProcess, Client]]:
    """Start recording; yield it and a client once rows arrive in the file, and end both afterwards."""
    record = RecordProcess(folder, bundle, port, *extra_arguments, toml=toml)
    ticks = iter(range(10**6))
    try:
        with connect_client(port) as plant:

            def is_recording() -> bool:
                send_values(plant, plant_values(FIRST_GROUP, [HEALTHY], START_TS + 5 * next(ticks)))
                return bool(record.all_rows())

            wait_until(is_recording, "it records")
            yield record, plant
    finally:
        if record.process.poll() is None:
            record.process.kill()
        record.process.communicate()


def test_values_are_recorded_as_readings(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Values on separate topics become the aligned readings; a value that comes twice is counted."""
    with record_process(tmp_path, toy_bundle, mosquitto.port) as (record, plant):
        readings = [[20.0 + number, 50.0, 20.5, 50.0] for number in range(4)]
        values = list(plant_values("a/b", readings))
        send_values(plant, [*values[:6], values[0], *values[6:]])  # one of them twice
        wait_until(lambda: len(record.rows()) >= 3, "the decided readings are in the file")
        code, output = record.stop()
    assert code == 0
    rows = list(Recording(record.out).rows())
    found = [(row.ts, row.values) for row in rows if row.group == "a/b"]
    assert found[:3] == [(START_TS + 5 * number, reading) for number, reading in enumerate(readings[:3])]
    assert "duplicate 1" in output


def test_the_clock_decides(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A sampling time is decided `wait` after it without any further value, as the daemon does."""
    with record_process(tmp_path, toy_bundle, mosquitto.port) as (record, plant):
        send_values(plant, plant_values("a/b", [HEALTHY]))
        wait_until(lambda: len(record.rows()) == 1, "the clock has decided it")
        assert record.stop()[0] == 0


def test_undecided_sampling_times(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A sampling time that isn't decided at the end is left out, and the command says so."""
    toml = f"{SOURCES_TOML}[windows]\nmax_skew = 120.0\n"
    with record_process(tmp_path, toy_bundle, mosquitto.port, toml=toml) as (record, plant):
        later = 5 * (time.time() // 5) + 60  # in time for the sender's clock, and long after the test's end
        send_values(plant, plant_values("a/b", [HEALTHY]))
        plant.publish("plant/a/b/temperature_1", {"value": 20, "ts": later})
        wait_until(lambda: len(record.rows()) == 1, "the first reading is decided")
        code, output = record.stop()
    assert code == 0
    assert "sampling time(s) were not decided when it ended and are left out" in output, output


def test_raw(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """With `--raw` each value is a row in the order of arrival, with topic and arrival, even a late one."""
    values = [*plant_values("a/b", [HEALTHY]), (START_TS - 100, "a/b", NAMES[0], None)]
    begin = time.time()
    with record_process(tmp_path, toy_bundle, mosquitto.port, "--raw") as (record, plant):
        send_values(plant, values)
        plant.publish("plant/a/b/temperature_1", {"value": "hot", "ts": START_TS})
        plant.publish("plant/e/f/temperature_1", {"value": 1.5, "ts": START_TS}, retain=True)
        wait_until(lambda: len(record.rows()) == 6, "all are in the file")
        code, output = record.stop()
    assert code == 0
    found = [(float(row["ts"]), row["group"], row["feature"], row["value"]) for row in record.rows()]
    expected = [(ts, group, name, "" if value is None else str(value)) for ts, group, name, value in values]
    assert found == [*expected, (START_TS, "e/f", NAMES[0], "1.5")]
    assert {row["topic"] for row in record.rows()} == {
        *(f"plant/a/b/{name}" for name in NAMES),
        "plant/e/f/temperature_1",
    }
    arrivals = [float(row["arrived_at"]) for row in record.rows()]
    assert arrivals == sorted(arrivals)
    assert begin <= arrivals[0] <= arrivals[-1] <= time.time()
    assert "refused values: malformed 1" in output


def test_raw_needs_sources(tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where each message is a reading there are no single values: exit code 2 before any connection."""
    words = ["record", "--raw", "--out", str(tmp_path / "r.csv"), "--bundle", str(toy_bundle)]
    assert main(words) == 2
    assert "input.sources: there are none, so each message is a reading" in capsys.readouterr().err


@pytest.fixture
def fault() -> list[Value]:
    """Values of two groups, one of which has a fault for four readings."""
    good = [[20.0 + number / 8, 50.0, 20.5, 50.0] for number in range(18)]
    bad = [FAULTY if 4 <= number < 8 else reading for number, reading in enumerate(good)]
    return sorted([*plant_values("a/b", bad), *plant_values("c/d", good)])


def _states(
    client: Client, *, is_done: Callable[[dict[str, dict[str, object]]], bool]
) -> dict[str, dict[str, object]]:
    """Return the last state of each group once a condition holds."""

    def latest() -> dict[str, dict[str, object]]:
        return {state["group"]: state for state in client.payloads("sensor-monitor/state/")}

    wait_until(lambda: is_done(latest()), "the states have come")
    # A state is published when it changes, so its score depends on which readings were judged together.
    return {group: {**state, "score": None} for group, state in latest().items() if group != FIRST_GROUP}


def test_backtest_and_replay_of_raw_values_equal_the_daemon(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, fault: list[Value]
) -> None:
    """A raw recording gives the alerts of the daemon that ran beside it, and replayed, the same states."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, SOURCES_TOML)
    config = tmp_path / "record.toml"

    def is_done(states: dict[str, dict[str, object]]) -> bool:
        latest = [states.get(group, {}) for group in ("a/b", "c/d")]
        return len(alerts()) == 2 and all(
            (state.get("state"), state.get("incident", "")) == ("normal", None) for state in latest
        )

    with (
        run_monitor(monitor),
        connect_client(mosquitto.port, "sensor-monitor/#") as subscriber,
        record_process(tmp_path, toy_bundle, mosquitto.port, "--raw") as (record, plant),
    ):

        def alerts() -> list[dict[str, object]]:
            return [
                event
                for event in subscriber.payloads("sensor-monitor/alerts/")
                if event["group"] != FIRST_GROUP
            ]

        send_values(plant, fault)
        wait_until(lambda: len(record.rows()) == len(fault), "all are in the file")
        live_states = _states(subscriber, is_done=is_done)
        live_alerts = alerts()
        assert record.stop()[0] == 0
    assert [event["status"] for event in live_alerts] == ["firing", "resolved"]
    events = tmp_path / "events.jsonl"
    words = [
        "--recording",
        str(record.out),
        "--out",
        str(tmp_path / "scores.csv"),
        "--alerts-out",
        str(events),
    ]
    assert main(["backtest", "--config", str(config), *words]) == 0
    assert read_events(events) == live_alerts

    second = tmp_path / "second"
    second.mkdir()
    with connect_client(mosquitto.port) as cleaner:
        for group in (*live_states, FIRST_GROUP):
            cleaner.publish(f"sensor-monitor/state/{group}", b"", retain=True)
    with (
        run_monitor(Monitor(second, toy_bundle, mosquitto.port, SOURCES_TOML)),
        connect_client(mosquitto.port, "sensor-monitor/#") as subscriber,
    ):
        assert main(["replay", str(record.out), "--config", str(config), "--speed", "0"]) == 0
        assert _states(subscriber, is_done=is_done) == live_states
        assert alerts() == live_alerts
