"""What an operator's login can do to the plant and to other operators, and that it is known who did it."""

import itertools
import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.chaos.raw_mqtt import PUBACK, Connection, publish_packet
from tests.conftest import BrokerFactory, Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.security.attackers import Target, publish_flood
from tests.security.plant import Plant
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY

REQUEST, RESPONSE, GROUP = "sensor-monitor/request/", "sensor-monitor/response/", "line1/station7"


def flood_requests(target: Target) -> None:
    """Send valid, invalid and unknown requests as fast as the broker takes them."""
    contents = (
        (b"acknowledge", b'{"group": "line1/*"}'),
        (b"silence", b'{"group": "nobody/*", "minutes": 5}'),
        (b"forget", b'{"group": "*nobody"}'),
        (b"reload", b"7"),
        (b"x" * 1000, b"{" * 4000),
    )
    requests = ((b"sensor-monitor/request/" + name, payload) for name, payload in itertools.cycle(contents))
    publish_flood(target, requests, confirmed_before_start=5_000)


def flood_unconfirmed_requests(target: Target) -> None:
    """Send 10,000 requests a second with QoS 0."""
    packet = publish_packet(b"sensor-monitor/request/forget", b'{"group": "nobody"}', 0, qos=0)
    with Connection(target.broker_port, "attacker") as connection:
        for number in itertools.count():
            connection.send(packet * 100)
            if number == 50:
                target.started.set()
            if target.stopped.wait(0.01):
                return


@pytest.mark.parametrize("attacker", [flood_requests, flood_unconfirmed_requests])
def test_flood_of_requests(plant: Plant, attacker: Any) -> None:
    """A flood of requests delays no alert, loses no reading, and isn't answered one by one."""
    with plant.attack(attacker):
        for _ in range(3):
            plant.send_rounds(2)
            plant.turn_faulty()
    assert plant.monitor.metric("requests_total", result="dropped") > 1000
    assert plant.monitor.log().count("came too fast") <= 2
    plant.assert_unharmed()


def test_flood_of_requests_without_bulk(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Requests that all come by paho are dropped beyond the rate, too, and a later one is answered."""
    topic, content, total = f"{REQUEST}forget".encode(), b'{"group": "nobody"}', 3000
    flood = b"".join(publish_packet(topic, content, number + 1) for number in range(total))
    with (
        connect_client(mosquitto.port, f"{RESPONSE}#") as client,
        run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, mqtt_toml="bulk = false")) as monitor,
    ):
        with Connection(mosquitto.port, "attacker") as connection:
            connection.send(flood)
            confirmed = 0
            while confirmed < total:
                confirmed += sum(packet.packet_type == PUBACK for packet in connection.receive())

        def count(result: str) -> float:
            return monitor.metric("requests_total", result=result)

        wait_until(lambda: count("refused") + count("dropped") == total, "all are counted")
        assert count("dropped") > 0
        wait_until(lambda: len(client.messages) == count("refused"), "the others are answered")


@pytest.fixture
def audit_file(tmp_path: Path) -> Path:
    """The file that records requests, not there yet."""
    return tmp_path / "audit" / "audit.jsonl"


@pytest.fixture
def monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, audit_file: Path) -> Iterator[Monitor]:
    """A monitor that records requests, and knows one group."""
    settings = f'[operators]\naudit_file = "{audit_file}"\n[alerts]\nfalse_alarms = "{tmp_path / "f.csv"}"'
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, settings)) as started:
        with connect_client(mosquitto.port) as plant:
            plant.publish(TOPIC, [reading(1000 + 5 * number, HEALTHY) for number in range(3)])
        started.wait_for_metric(1, "groups", state="normal")
        yield started


@pytest.fixture
def client(mosquitto: Mosquitto) -> Iterator[Client]:
    """A client that receives everything."""
    with connect_client(mosquitto.port, "#") as connected:
        yield connected


def send(client: Client, topic: str, content: object, **properties: Any) -> dict[str, Any]:
    """Send a request with properties of MQTT 5; return its answer, wherever below response/ it comes."""
    encoded = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in properties.items():
        setattr(encoded, name, value)
    before = len(client.payloads(RESPONSE))
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    client.publish(REQUEST + topic, payload, properties=encoded)
    wait_until(lambda: len(client.payloads(RESPONSE)) > before, "it is answered")
    answer: dict[str, Any] = client.payloads(RESPONSE)[-1]
    return answer


def records(audit_file: Path, count: int) -> list[dict[str, Any]]:
    """Return so many records, without their times."""
    wait_until(lambda: audit_file.read_text().count("\n") >= count, "all is recorded")
    found = [json.loads(line) for line in audit_file.read_text().splitlines()]
    assert len(found) == count, found
    for record in found:
        assert record.pop("time").endswith("Z")
    return found


@pytest.mark.parametrize(
    "response_topic",
    ["plant/line1/station7/reading", "sensor-monitor/status", "sensor-monitor/alerts/x", "homeassistant/a",
     "sensor-monitor/response", "sensor-monitor/response/", "sensor-monitor/responses/a", "$SYS/x",
     "sensor-monitor/response/" + "a/" * 150],
)  # fmt: skip
def test_answer_elsewhere(monitor: Monitor, client: Client, audit_file: Path, response_topic: str) -> None:
    """A request whose answer would go elsewhere than below response/ isn't done, and is recorded."""
    content = {"group": "*", "minutes": 5, "transaction": "forged"}
    answer = send(client, "silence", content, ResponseTopic=response_topic)
    assert (answer["status"], answer["transaction"]) == ("error", "forged")
    assert "response topic" in answer["error"]
    (record,) = records(audit_file, 1)
    assert (record["result"], record["group"], record["error"]) == ("refused", "*", answer["error"])
    monitor.wait_for_metric(1, "requests_total", result="refused")
    assert client.payloads("sensor-monitor/muted")[-1] == {"muted": []}
    assert "forged" not in "".join(client.texts(response_topic))


def test_answer_below_response(monitor: Monitor, client: Client) -> None:
    """A response topic below response/ is used."""
    answer = send(client, "acknowledge", {"group": "a"}, ResponseTopic=f"{RESPONSE}panel/7")
    assert client.payloads(f"{RESPONSE}panel/7") == [answer]
    assert monitor.metric("requests_total", result="refused") == 1


def test_who_it_was(monitor: Monitor, client: Client, audit_file: Path) -> None:
    """Each request is recorded with its sender, its target and its result; answers go to each operator."""
    muted = send(client, "silence/anna", {"group": "line1/*", "minutes": 30})
    assert client.payloads(f"{RESPONSE}silence/anna") == [muted]
    send(client, "silence", {"group": "line1/*", "minutes": 0}, UserProperty=("operator", "bert"))
    send(client, "acknowledge/anna", {"group": "nobody"}, UserProperty=("operator", "root"))
    send(client, "forget/anna/x", {"group": "*"})
    send(client, "forget/anna", {"group": GROUP})
    assert records(audit_file, 5) == [
        {"request": "silence", "result": "done", "operator": "anna", "group": "line1/*", "minutes": 30.0,
         "until": muted["until"], "count": 1},
        {"request": "silence", "result": "done", "claimed": "bert", "group": "line1/*", "minutes": 0.0},
        {"request": "acknowledge", "result": "refused", "operator": "anna", "claimed": "root",
         "group": "nobody", "error": "there is no group 'nobody', and none that fits it"},
        {"request": "forget/anna/x", "result": "refused", "payload": '{"group": "*"}',
         "error": "there is no request 'forget/anna/x'; expected acknowledge, silence, false-alarm, forget, "
         "reload"},
        {"request": "forget", "result": "done", "operator": "anna", "group": GROUP, "count": 1},
    ]  # fmt: skip
    assert audit_file.stat().st_mode & 0o777 == 0o600
    assert monitor.log().count('audit: {"time"') == 3, "what was done is in the log, too"


def test_forged_records(monitor: Monitor, client: Client, audit_file: Path) -> None:
    """No text of a request makes a record of its own, or holds a control character."""
    record = '{"time": "2026-01-01T00:00:00Z", "operator": "anna"}'
    # A broker refuses topics and properties with the control characters below U+00A0.
    forged, name = f"\n{record}\r\n\x1b[31m\x85", f"{record}\u2028\u202e"
    send(client, f"silence/{name}", {"group": forged, "minutes": 1}, UserProperty=("operator", name))
    send(client, name, forged.encode())
    send(client, "silence", {"group": "*", "minutes": 1, forged: 1})
    found = records(audit_file, 3)
    assert [record["result"] for record in found] == ["refused"] * 3
    assert (found[0]["operator"], found[0]["claimed"], found[0]["group"]) == (name, name, forged)
    text = audit_file.read_text()
    assert text.isascii()
    assert not {character for character in text if ord(character) < 32} - {"\n"}
    assert not {"\x1b", "\u202e", "\u2028"} & set(monitor.log())


def test_audit_file_is_full(monitor: Monitor, client: Client, audit_file: Path) -> None:
    """While the records can't be written, requests are done, alerts come, and log and metrics tell."""
    size = 1 << 30  # larger than the store will be, so that only this file reaches its limit
    assert monitor.process is not None
    os.truncate(audit_file, size - 1)
    with audit_file.open("ab") as file:
        file.write(b"\n")
    resource.prlimit(monitor.process.pid, resource.RLIMIT_FSIZE, (size, size + 1))
    assert send(client, "silence/anna", {"group": GROUP, "minutes": 1})["status"] == "ok"
    monitor.wait_for_log(f"operators.audit_file: {audit_file}: File too large; requests are done")
    monitor.wait_for_metric(1, "audit_file_failing")
    assert send(client, "silence/anna", {"group": GROUP, "minutes": 0})["status"] == "ok"
    client.publish(TOPIC, [reading(1015 + 5 * number, FAULTY) for number in range(3)])
    wait_until(lambda: client.payloads("sensor-monitor/alerts/"), "the alert comes")
    assert audit_file.stat().st_size == size, "no half record is left"
    audit_file.rename(audit_file.with_name("audit.jsonl.1"))
    monitor.wait_for_log("can be written again")
    assert [record["minutes"] for record in records(audit_file, 2)] == [1.0, 0.0]
    assert audit_file.stat().st_mode & 0o777 == 0o600
    monitor.wait_for_metric(0, "audit_file_failing")
    assert monitor.metric("audit_records_lost_total") == 0


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_audit_file_that_is_none(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, kind: str) -> None:
    """A monitor that couldn't record requests doesn't start: no link is followed, no pipe waited for."""
    path = tmp_path / "audit"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    else:
        os.mkfifo(path)
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, f'[operators]\naudit_file = "{path}"')
    monitor.start(expect_exit=True)
    assert monitor.process is not None
    assert monitor.process.returncode == 2
    assert f"operators.audit_file: {path}: " in monitor.log()


def test_everything_muted(monitor: Monitor, client: Client) -> None:
    """A mute longer than the bound is refused; one of everything is loud, and so is what it hides."""
    week = 7 * 24 * 60
    answer = send(client, "silence", {"group": "*", "minutes": week + 1})
    assert answer["error"] == "a mute of 10081 minutes is too long; operators.longest_mute allows 10080"
    client.publish("plant/line1/other/reading", [reading(1000 + 5 * number, HEALTHY) for number in range(3)])
    monitor.wait_for_metric(2, "groups", state="normal")
    assert send(client, "silence/anna", {"group": "*", "minutes": week})["count"] == 2
    monitor.wait_for_metric(2, "muted_groups")
    monitor.wait_for_log("2 of 2 groups")
    assert "WARNING alerts of '*' are muted until" in monitor.log()
    client.publish(TOPIC, [reading(1015 + 5 * number, FAULTY) for number in range(3)])
    monitor.wait_for_metric(1, "incidents_muted_total")
    monitor.wait_for_log(f"WARNING group {GROUP}: an incident began while its alerts are muted")
    assert client.payloads("sensor-monitor/alerts/") == []


def test_operators_cannot_be_each_other(new_broker: BrokerFactory, tmp_path: Path, toy_bundle: Path) -> None:
    """With the ACL's line for each operator, nobody sends a request, or reads an answer, as another."""
    acl = tmp_path / "acl"
    acl.write_text(
        "topic readwrite sensor-monitor/#\ntopic read plant/#\n"
        + "".join(
            f"user {name}\ntopic write sensor-monitor/request/+/{name}\n"
            f"topic read sensor-monitor/response/+/{name}\n"
            for name in ("anna", "bert")
        )
    )
    broker = new_broker("allow_anonymous true", f"acl_file {acl}")
    broker.start()
    audit_file = tmp_path / "audit"
    settings = f'[operators]\naudit_file = "{audit_file}"'
    with (
        run_monitor(Monitor(tmp_path, toy_bundle, broker.port, settings)),
        connect_client(broker.port, f"{RESPONSE}#", username="anna") as anna,
        connect_client(broker.port, f"{RESPONSE}#", username="bert") as bert,
    ):
        for topic in ("forget/anna", "forget", "forget/x"):
            bert.publish(REQUEST + topic, {"group": "as somebody else"})
        bert.publish(f"{REQUEST}forget/bert", {"group": "b"})
        wait_until(lambda: bert.messages, "its own request is answered")
        anna.publish(f"{REQUEST}forget/anna", {"group": "a"})
        wait_until(lambda: anna.messages, "its own request is answered")
        assert [(record["operator"], record["group"]) for record in records(audit_file, 2)] == [
            ("bert", "b"),
            ("anna", "a"),
        ]
        assert len(bert.messages) == len(anna.messages) == 1
