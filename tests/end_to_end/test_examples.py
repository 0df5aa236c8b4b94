"""Each example of config/examples: what its device sends becomes an alert, by a real broker and process."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.times import format_iso
from tests.conftest import ROOT, Mosquitto, wait_until
from tests.end_to_end.exchanges import EXCHANGES, HEALTHY_STEPS, Exchange
from tests.support.processes import Client, Monitor, connect_client, run_monitor

EXAMPLES = ROOT / "config" / "examples"
FAST_PERIOD_S = 0.02
"""Between sampling times where messages have no time and so have to be sent in real time."""
FAST_CLOCK = {
    "MONITOR_INPUT__ALIGN__PERIOD": str(FAST_PERIOD_S),
    "MONITOR_INPUT__ALIGN__WAIT": "0.01",
    "MONITOR_INPUT__ALIGN__MAX_AGE": "60",
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One broker for all examples."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.device.__name__)
def test_example(tmp_path: Path, broker: Mosquitto, exchange: Exchange) -> None:
    """With an example as it is, a device's fault is the first alert, and its window holds what was sent."""
    base_topic = f"monitor-{exchange.device.__name__}"
    environment = _environment(tmp_path, broker, base_topic)
    if not exchange.has_ts:
        environment |= FAST_CLOCK
    monitor = Monitor(tmp_path, tmp_path, broker.port, config_file=EXAMPLES / f"{exchange.example}.toml")
    alerts, own_state = f"{base_topic}/alerts/", f"{base_topic}/state/{exchange.group}"
    with connect_client(broker.port, f"{base_topic}/#") as client, run_monitor(monitor, environment):
        sent_at = _send(client, monitor, exchange, range(HEALTHY_STEPS))
        wait_until(lambda: _states(client, own_state)[-1:] == ["normal"], "the group is normal")
        assert client.payloads(alerts) == []

        sent_at |= _send(client, monitor, exchange, range(HEALTHY_STEPS, len(exchange.steps())))
        wait_until(lambda: client.payloads(alerts), "an alert is published")
        (alert,) = client.payloads(alerts)
        assert (alert["group"], alert["status"]) == (exchange.group, "firing")
        if exchange.has_ts:
            _check_window(exchange, alert["window"])
        else:
            _check_window_without_ts(exchange, alert["window"], sent_at)

        wait_until(lambda: _states(client, own_state)[-1] == "faulty", "the state is faulty")
        groups = {state["group"] for state in client.payloads(f"{base_topic}/state/")}
        assert groups == {exchange.group, *exchange.other_groups}
        # Without ts, the first values of all may fall on two sides of a sampling time.
        expected_outcomes = {"filling", "warming", "judged"} | (set() if exchange.has_ts else {"stale"})
        assert set(monitor.outcomes()) <= expected_outcomes
        assert set(monitor.value_outcomes()) <= {"accepted", *exchange.rejected_values}


def test_absent_value(tmp_path: Path, broker: Mosquitto) -> None:
    """A tag of bad quality is stale at once, in the group's state with the time since when, and no alert."""
    exchange = next(exchange for exchange in EXCHANGES if exchange.example == "kepware")
    monitor = Monitor(tmp_path, tmp_path, broker.port, config_file=EXAMPLES / "kepware.toml")
    environment = _environment(tmp_path, broker, "monitor-absent")
    with connect_client(broker.port, "monitor-absent/#") as client, run_monitor(monitor, environment):
        _send(client, monitor, exchange, range(HEALTHY_STEPS))
        since = exchange.sampling_time(HEALTHY_STEPS)
        values = [
            {"id": "Channel1.Rack3.TempTop", "v": 0, "q": False, "t": ts * 1000}
            for ts in (since, since + exchange.interval)
        ]
        client.publish("iotgateway", {"timestamp": since * 1000, "values": values})
        wait_until(
            lambda: any("stale" in state for state in client.payloads("monitor-absent/state/")),
            "a feature is stale",
        )
        state = client.payloads("monitor-absent/state/line1")[-1]
        assert state["stale"] == {"temperature_1": format_iso(since)}
        assert state["state"] == "normal"
        assert client.payloads("monitor-absent/alerts/") == []


def test_every_example_is_tried() -> None:
    """Each file of config/examples is tried here, and the how-to guide leads to it."""
    guide = (ROOT / "docs" / "how-to" / "your-topics.md").read_text()
    files = {file.stem for file in EXAMPLES.glob("*.toml")}
    assert files == {exchange.example for exchange in EXCHANGES}
    assert [name for name in files if f"(../../config/examples/{name}.toml)" not in guide] == []


def _environment(folder: Path, broker: Mosquitto, base_topic: str) -> dict[str, str]:
    """Return the environment of a monitor: what the examples leave to their users."""
    return {
        **os.environ,
        "MONITOR_BUNDLE": "",
        "MONITOR_MQTT__PORT": str(broker.port),
        "MONITOR_MQTT__BASE_TOPIC": base_topic,
        "MONITOR_STORE__PATH": str(folder / "state.db"),
        "MONITOR_HTTP__PORT": "0",
    }


def _send(client: Client, monitor: Monitor, exchange: Exchange, numbers: range) -> dict[int, float]:
    """Send what the device sends at these steps; return the time at which each step began.

    Without event times, each step waits for the arrival of the one before it, and for a sampling time.
    """
    sent_at = {}
    steps = exchange.steps()
    for number in numbers:
        sent_at[number] = time.time()
        for topic, payload, is_retained in exchange.device(
            steps[number], steps[number - 1] if number else None
        ):
            client.publish(topic, payload, retain=is_retained)
        if not exchange.has_ts:
            arrived = 4 * (number + 1)
            wait_until(lambda: monitor.value_outcomes().get("accepted", 0) >= arrived, "it arrives")  # noqa: B023
            next_sampling_time = time.time() + FAST_PERIOD_S
            wait_until(lambda: time.time() > next_sampling_time, "a sampling time comes")  # noqa: B023
    return sent_at


def _states(client: Client, topic: str) -> list[str]:
    """Return the states that a group had."""
    return [state["state"] for state in client.payloads(topic)]


def _check_window(exchange: Exchange, window: dict[str, Any]) -> None:
    """Check that a window is of the first reading with the fault and the two before it."""
    numbers = range(HEALTHY_STEPS - 2, HEALTHY_STEPS + 1)
    assert window["ts"] == [exchange.sampling_time(number) for number in numbers]
    assert window["values"] == [pytest.approx(exchange.values(number), abs=1e-9) for number in numbers]


def _check_window_without_ts(exchange: Exchange, window: dict[str, Any], sent_at: dict[int, float]) -> None:
    """Check that each value of a window was sent before its sampling time, and the first faulty one last."""
    rows = [exchange.values(number) for number in sent_at]
    for ts, row in zip(window["ts"], window["values"], strict=True):
        for feature, value in enumerate(row):
            assert sent_at[[sent[feature] for sent in rows].index(value)] <= ts
    *healthy, faulty = [row[2] for row in window["values"]]
    assert faulty == rows[HEALTHY_STEPS][2]
    assert set(healthy) <= {row[2] for row in rows[:HEALTHY_STEPS]}
