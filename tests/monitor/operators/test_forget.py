"""The request `forget` and `input.forget_after`, with real brokers and real processes that are killed."""

import json
import resource
from pathlib import Path

import pytest

from tests.conftest import BrokerFactory, Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.monitor.operators.test_over_mqtt import alert_events, send_request
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, save_toy_bundle

DISCOVERY = "[homeassistant]\ndiscovery = true\n"
STATES = "sensor-monitor/state/"


def send(client: Client, group: str, begin: float, *rows: list[float], period: float = 5.0) -> None:
    """Publish readings of a group, whose event times are `period` seconds apart."""
    readings = [reading(begin + period * number, row) for number, row in enumerate(rows)]
    client.publish(f"plant/{group}/reading", readings)


def known_groups(monitor: Monitor) -> float:
    """Return how many groups the metrics count."""
    return sum(
        monitor.metric("groups", state=state)
        for state in ("filling", "warming", "normal", "faulty", "silent")
    )


def retained_groups(port: int) -> tuple[set[str], set[str]]:
    """Return the groups with a retained state, and those with a retained announcement."""
    with connect_client(port, f"{STATES}#", "homeassistant/#", "end") as late:
        late.publish("end", b"0")
        wait_until(lambda: late.payloads("end"), "all that is retained has come")
        retained = [(topic, json.loads(text)) for topic, text, is_retained in late.messages if is_retained]
    states = {topic.removeprefix(STATES) for topic, _ in retained if topic.startswith(STATES)}
    return states, {content["name"] for topic, content in retained if topic.startswith("homeassistant/")}


def muted_groups(client: Client) -> list[str]:
    """Return the names and patterns that are muted, as published last."""
    return [mute["group"] for mute in client.payloads("sensor-monitor/muted")[-1]["muted"]]


@pytest.fixture
def quick_bundle(tmp_path: Path) -> Path:
    """Return a bundle for readings 0.05 s apart, with which a group may be silent after 0.2 s."""
    save_toy_bundle(tmp_path / "quick-bundle", sample_period=0.05)
    return tmp_path / "quick-bundle"


@pytest.mark.parametrize("qos", [0, 1])
def test_forget(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, qos: int) -> None:
    """A forgotten group is gone everywhere, after a kill, too; what it sends later is that of a new one."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, DISCOVERY, mqtt_toml=f"qos = {qos}")
    with connect_client(mosquitto.port, "sensor-monitor/#") as client:
        with run_monitor(monitor):
            for station in "abc":
                send(client, f"line1/{station}", 1000, HEALTHY, HEALTHY, HEALTHY)
            wait_until(lambda: len(retained_groups(mosquitto.port)[1]) == 3, "all are announced")
            assert send_request(client, "silence", group="line1/a", minutes=60)["status"] == "ok"
            assert send_request(client, "silence", group="line1/*", minutes=60)["status"] == "ok"
            assert send_request(client, "forget", group="line1/a") == {"status": "ok", "count": 1}
            assert send_request(client, "forget", group="*e1/b*", transaction=1) == {
                "status": "ok", "count": 1, "transaction": 1,
            }  # fmt: skip
            wait_until(lambda: known_groups(monitor) == 1, "one is left")
            assert monitor.metric("groups_forgotten_total") == 2
            wait_until(lambda: muted_groups(client) == ["line1/*"], "the mute of a forgotten group is gone")
            monitor.kill()
        with run_monitor(monitor):
            assert known_groups(monitor) <= 1  # with QoS 0 the third may not be stored yet
            wait_until(
                lambda: retained_groups(mosquitto.port) == ({"line1/c"}, {"line1/c"}), "one is retained"
            )
            answer = send_request(client, "forget", group="line1/a")
            assert answer["error"] == "there is no group 'line1/a', and none that fits it"
            send(client, "line1/a", 900, HEALTHY)
            wait_until(lambda: monitor.outcomes() == {"filling": 1}, "it begins afresh")
            wait_until(lambda: "line1/a" in retained_groups(mosquitto.port)[1], "it is announced")


def test_open_incident(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """The open incident of a forgotten group is resolved with a reason, in a muted group, too."""
    with (
        connect_client(mosquitto.port, "sensor-monitor/#") as client,
        run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor,
    ):
        send(client, "line1/a", 1000, FAULTY, FAULTY, FAULTY)
        wait_until(lambda: alert_events(client), "it fires")
        send_request(client, "silence", group="line1/*", minutes=60)
        send(client, "line1/b", 1000, FAULTY, FAULTY, FAULTY)
        wait_until(lambda: monitor.metric("alerts_firing") == 2, "the muted group has one, too")
        assert send_request(client, "forget", group="*")["count"] == 2
        wait_until(lambda: len(alert_events(client)) == 2, "it is resolved")
        assert alert_events(client) == [("line1/a:1010000", "firing"), ("line1/a:1010000", "resolved")]
        resolved = client.payloads("sensor-monitor/alerts/")[-1]
        assert resolved["reason"] == "the group was forgotten"
        assert resolved["ended_at"] == "1970-01-01T00:16:50.000Z"
        monitor.wait_for_metric(0, "alerts_firing")


def test_evicted_groups(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A pattern also removes groups that are only in the store, and ends their incidents."""
    with (
        connect_client(mosquitto.port, "sensor-monitor/#") as client,
        run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, "[input]\nmax_groups = 1")) as monitor,
    ):
        send(client, "line1/a", 1000, FAULTY, FAULTY, FAULTY)
        wait_until(lambda: alert_events(client), "it fires")
        send(client, "line1/b", 1000, HEALTHY)
        send(client, "line2/a", 1000, HEALTHY)
        wait_until(lambda: monitor.metric("groups_set_aside_total") == 2, "two are set aside")
        assert send_request(client, "forget", group="line1/*")["count"] == 2
        wait_until(lambda: alert_events(client)[-1][1] == "resolved", "the incident ends")
        wait_until(lambda: retained_groups(mosquitto.port)[0] == {"line2/a"}, "one state is left")
        send(client, "line1/a", 900, HEALTHY)
        wait_until(lambda: monitor.outcomes() == {"filling": 5, "judged": 1}, "it begins afresh")


def test_killed_before_the_states_are_removed(
    tmp_path: Path, new_broker: BrokerFactory, quick_bundle: Path
) -> None:
    """If a process is killed before it can publish, the next removes retained state and announcement."""
    broker = new_broker("allow_anonymous true", "persistence true", f"persistence_location {tmp_path}/")
    broker.start()
    quick = f"{DISCOVERY}[windows]\nstale_after = 0.2\n[input]\nforget_after = 3.0"
    with run_monitor(Monitor(tmp_path, quick_bundle, broker.port, quick)) as monitor:
        with connect_client(broker.port) as client:
            send(client, "line1/a", 1000, HEALTHY)
            wait_until(lambda: retained_groups(broker.port) == ({"line1/a"}, {"line1/a"}), "it is announced")
        broker.stop()
        wait_until(lambda: monitor.metric("groups_forgotten_total") == 1, "it is forgotten")
        monitor.kill()
    broker.start()
    assert retained_groups(broker.port) == ({"line1/a"}, {"line1/a"})
    with run_monitor(Monitor(tmp_path, quick_bundle, broker.port, DISCOVERY)) as monitor:
        assert "restored 0 groups" in monitor.log()
        wait_until(lambda: retained_groups(broker.port) == (set(), set()), "nothing is retained")


def test_store_that_cant_be_written(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A removal that couldn't be stored isn't answered: the next process does it."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/#") as client:
        with run_monitor(monitor):
            send(client, "line1/a", 1000, HEALTHY)
            wait_until(lambda: client.payloads(STATES), "it is known")
            assert monitor.process is not None
            resource.prlimit(monitor.process.pid, resource.RLIMIT_FSIZE, (8192, 8192))
            client.publish("sensor-monitor/request/forget", {"group": "*"})
            wait_until(lambda: monitor.metric("store_failures_total") > 0, "the store can't be written")
            assert client.payloads("sensor-monitor/response/") == []
            monitor.kill()
        with run_monitor(monitor):
            wait_until(lambda: client.payloads("sensor-monitor/response/"), "it is answered")
            assert client.payloads("sensor-monitor/response/") == [{"status": "ok", "count": 1}]
            wait_until(lambda: retained_groups(mosquitto.port)[0] == set(), "its state is gone")


def test_expected_groups(tmp_path: Path, mosquitto: Mosquitto, quick_bundle: Path) -> None:
    """A group of input.groups is neither forgotten by name, nor by a pattern, nor by age."""
    extra = '[input]\ngroups = ["line1/a"]\nforget_after = 1.0\n[windows]\nstale_after = 0.2'
    with (
        connect_client(mosquitto.port, "sensor-monitor/#") as client,
        run_monitor(Monitor(tmp_path, quick_bundle, mosquitto.port, extra)) as monitor,
    ):
        wait_until(lambda: monitor.metric("groups", state="silent") == 1, "it is silent")
        answer = send_request(client, "forget", group="line1/a")
        assert answer["error"].startswith("'line1/a' is in input.groups")
        send(client, "line1/b", 1000, HEALTHY)
        wait_until(lambda: monitor.metric("groups_forgotten_total") == 1, "the other is forgotten")
        wait_until(lambda: known_groups(monitor) == 1, "the gauges say so")
        assert monitor.metric("groups", state="silent") == 1


def test_age(tmp_path: Path, mosquitto: Mosquitto, quick_bundle: Path) -> None:
    """A silent group goes by itself, unless an incident of it is open; the log has a line for all that go."""
    extra = DISCOVERY + "[input]\nforget_after = 1.0\n[windows]\nstale_after = 0.2"
    monitor = Monitor(tmp_path, quick_bundle, mosquitto.port, extra)
    with connect_client(mosquitto.port, "sensor-monitor/#") as client, run_monitor(monitor):
        send(client, "line1/faulty", 1000, FAULTY, FAULTY, FAULTY, period=0.125)
        for number in range(20):
            send(client, f"line1/{number}", 1000, HEALTHY)
        wait_until(lambda: monitor.metric("groups_forgotten_total") == 20, "they are forgotten")
        wait_until(lambda: retained_groups(mosquitto.port) == ({"line1/faulty"},) * 2, "one is left")
        wait_until(lambda: known_groups(monitor) == 1, "the gauges say so")
        assert monitor.metric("alerts_firing") == 1
        monitor.wait_for_log("silent for input.forget_after")
        monitor.kill()
        assert monitor.log().count("silent for input.forget_after") <= 3
        monitor.start_ready()
        assert "restored 1 groups" in monitor.log()
        assert alert_events(client) == [("line1/faulty:1000250", "firing")]
