"""Births, deaths and rebirths of Sparkplug B, with a real broker and real processes."""

import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from monitor.ingest.formats.sparkplug import SparkplugFormat
from monitor.ingest.formats.sparkplug_schema import DataType
from tests.conftest import ROOT, Mosquitto, wait_until
from tests.end_to_end.devices.sparkplug import births, sparkplug_b
from tests.end_to_end.devices.step import Climate, Message, Step
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.sparkplug_messages import Metric, encode_payload

EXAMPLE = (ROOT / "config" / "examples" / "sparkplug-b.toml").read_text()
STATE = "sensor-monitor/state/press-shop/gateway1/rack3"
NODE_DEATH = Message(
    "spBv1.0/press-shop/NDEATH/gateway1", encode_payload([Metric("bdSeq", 0, DataType.INT64)])
)


@pytest.fixture
def client(mosquitto: Mosquitto) -> Iterator[Client]:
    """The edge node, which gets commands, and a subscriber of states."""
    with connect_client(mosquitto.port, "spBv1.0/+/NCMD/+", "sensor-monitor/state/#") as client:
        yield client


@pytest.fixture
def monitor(tmp_path: Path, toy_bundle: Path, mosquitto: Mosquitto) -> Monitor:
    """A monitor with the example, but with a reading a second."""
    return Monitor(
        tmp_path, toy_bundle, mosquitto.port, EXAMPLE.replace("period = 10.0", "period = 1.0\nwait = 0.5")
    )


def steps(start: int) -> list[Step]:
    """Return what the sensors measure from a time on, once a second; all of it changes."""
    return [
        Step(
            Climate(start + number, 21 + number / 100, 48 + number / 100),
            Climate(start + number, 22 + number / 100, 47 + number / 100),
        )
        for number in range(12)
    ]


def send(client: Client, *messages: Message) -> None:
    """Publish messages, one after another."""
    for topic, payload, _ in messages:
        client.publish(topic, payload)


def send_data(client: Client, sent: list[Step]) -> None:
    """Publish data by alias: of each step what changed since the one before it."""
    for before, now in pairwise(sent):
        send(client, *sparkplug_b(now, before))


def state(client: Client) -> dict[str, Any]:
    """Return the group's newest state; empty if there is none yet."""
    return next(reversed(client.payloads(STATE)), {})


def commands(client: Client) -> list[tuple[str, list[tuple[str, object]]]]:
    """Return the commands that the edge node got: topic, names and values."""
    return [
        (topic, [(metric["name"], metric["value"]) for metric in SparkplugFormat().parse(payload)["metrics"]])
        for topic, payload, _ in client.messages
        if "/NCMD/" in topic
    ]


def test_rebirth(client: Client, monitor: Monitor) -> None:
    """Where an alias is unknown, the edge node is asked once for its births, and then data is understood."""
    sent = steps(int(time.time()) - 60)
    with run_monitor(monitor):
        send_data(client, sent[:4])
        wait_until(lambda: monitor.value_outcomes() == {"malformed": 3}, "data without births is refused")
        wait_until(lambda: commands(client), "a rebirth is asked for")
        send(client, *births(sent[4]))
        send_data(client, sent[4:])
        wait_until(lambda: monitor.value_outcomes() == {"malformed": 3, "accepted": 32}, "values come")
        wait_until(lambda: state(client).get("state") == "normal", "they are judged")
        assert monitor.terminate() == 0
    assert commands(client) == [("spBv1.0/press-shop/NCMD/gateway1", [("Node Control/Rebirth", True)])]


def test_kill_after_the_births(client: Client, monitor: Monitor) -> None:
    """After kill -9 data by alias is understood, without asking for births."""
    sent = steps(int(time.time()) - 60)
    with run_monitor(monitor):
        send(client, *births(sent[0]))
        wait_until(lambda: monitor.value_outcomes() == {"accepted": 4}, "the births are taken")
    with run_monitor(monitor):
        send_data(client, sent)
        wait_until(lambda: monitor.value_outcomes().get("accepted", 0) >= 44, "values come")
        wait_until(lambda: state(client).get("state") == "normal", "they are judged")
        outcomes = monitor.value_outcomes()
        assert monitor.terminate() == 0
    # The births come again where the broker had no acknowledgement of them before the kill.
    assert set(outcomes) <= {"accepted", "duplicate", "late"}
    assert commands(client) == []


def test_death_of_the_edge_node(client: Client, monitor: Monitor) -> None:
    """After the death of an edge node all features of its devices are stale, until it is born again."""
    with run_monitor(monitor):
        sent = steps(int(time.time()) - 60)
        send(client, *births(sent[0]))
        send_data(client, sent)
        wait_until(
            lambda: state(client).get("state") == "normal",
            "it is normal",
        )
        assert "stale" not in state(client)
        died_at = time.time()
        send(client, NODE_DEATH)
        wait_until(lambda: state(client).get("stale"), "the death is published")
        stale = state(client)["stale"]
        assert set(stale) == {"temperature_1", "humidity_1", "temperature_2", "humidity_2"}
        born_at = int(time.time()) + 1
        times = [datetime.fromisoformat(since).timestamp() for since in stale.values()]
        assert all(died_at - 0.001 <= since <= born_at for since in times)
        send(client, *births(steps(born_at)[0]))
        wait_until(lambda: not state(client).get("stale"), "the birth ends it")
    assert commands(client) == []
