"""Somebody who may publish requests sends ones that can't be answered, or not even be read."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BrokerFactory, Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.security.attackers import Target
from tests.security.broker_clients import publish_with_properties, take_without_acknowledging
from tests.security.plant import Plant
from tests.support.processes import Monitor, Proxy, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY

REQUEST_TOPIC, RESPONSE_TOPIC = "sensor-monitor/request/silence", "sensor-monitor/response/silence"
PAYLOAD = b'{"group": "x", "minutes": 1}'
UNREADABLE: dict[str, Any] = {"ContentType": "a\ufeffb"}
"""Valid in MQTT 5; paho refuses it, and would end the connection at each delivery."""
LONG: dict[str, Any] = {"CorrelationData": bytes(2880)}
MANY: dict[str, Any] = {"UserProperty": [("", "")] * 20_000}
"""100 KB; paho reads them for 2 s, in which nothing else comes, and 500 KB for half a minute."""
HUGE_LIMIT = b"\x27\x0f\xff\xff\xff"


class SilentProxy(Proxy):
    """Stands before a broker with `max_packet_size 1200`, and hides that it has this limit."""

    def _forward(self, source: Any, sink: Any, recording: bytearray | None) -> None:
        super()._forward(source, _Rewriting(sink), recording)


class _Rewriting:
    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self.shutdown = sock.shutdown

    def sendall(self, data: bytes) -> None:
        self._socket.sendall(data.replace(b"\x27" + (1200).to_bytes(4), HUGE_LIMIT))


def assert_works(monitor: Monitor, port: int) -> None:
    """Fail unless a request is answered."""
    with connect_client(port, RESPONSE_TOPIC) as client:
        client.publish(REQUEST_TOPIC, {"group": "x", "minutes": 1, "transaction": 7})
        wait_until(
            lambda: any(answer.get("transaction") == 7 for answer in client.payloads(RESPONSE_TOPIC)),
            "the next request is answered",
        )
    assert monitor.metric("mqtt_connection_up", connection="input") == 1


def send_unanswerable(properties: dict[str, Any], target: Target) -> None:
    """Send requests that can't be answered."""
    while not target.stopped.is_set():
        publish_with_properties(target.broker_port, REQUEST_TOPIC, PAYLOAD, **properties)
        target.started.set()


@pytest.mark.parametrize("bulk", ["true", "false"])
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("properties", [UNREADABLE, LONG, MANY], ids=["unreadable", "long", "many"])
def test_refused(
    tmp_path: Path,
    mosquitto: Mosquitto,
    toy_bundle: Path,
    properties: dict[str, Any],
    bulk: str,
    *,
    retain: bool,
) -> None:
    """Such a request is refused, counted and acknowledged; no connection ends, also after a restart."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, mqtt_toml=f"bulk = {bulk}")
    with run_monitor(monitor):
        publish_with_properties(mosquitto.port, REQUEST_TOPIC, PAYLOAD, retain=retain, **properties)
        monitor.wait_for_metric(1, "requests_unanswerable_total")
        monitor.wait_for_log(
            f"request 'silence' is refused: {'the request is retained' if retain else 'its '}"
        )
        assert_works(monitor, mosquitto.port)
        monitor.wait_for_metric(0, "mqtt_reconnects_total")
    with run_monitor(monitor):
        assert_works(monitor, mosquitto.port)
        monitor.wait_for_metric(0, "mqtt_reconnects_total")
        monitor.wait_for_metric(int(retain), "requests_unanswerable_total")


@pytest.mark.parametrize("bulk", ["true", "false"])
def test_reading_with_unreadable_properties(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, bulk: str
) -> None:
    """A reading is judged whatever its properties."""
    topic = "plant/line1/station7/reading"
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, mqtt_toml=f"bulk = {bulk}")) as monitor:
        for number in range(3):
            payload = json.dumps(reading(1000 + 5 * number, FAULTY)).encode()
            publish_with_properties(mosquitto.port, topic, payload, **UNREADABLE)
        monitor.wait_for_metric(1, "readings_total", outcome="judged")
        monitor.wait_for_metric(0, "mqtt_reconnects_total")


def test_answer_beyond_a_limit_that_is_not_announced(
    tmp_path: Path, new_broker: BrokerFactory, toy_bundle: Path
) -> None:
    """A request whose answer the broker hangs up at doesn't come again for ever, nor after a restart."""
    broker = new_broker("allow_anonymous true", "max_packet_size 1200")
    broker.start()
    proxy = SilentProxy(broker.port)
    monitor = Monitor(tmp_path, toy_bundle, proxy.port)
    payload = json.dumps({"group": "x", "minutes": 1, "transaction": "t" * 60}).encode()
    with run_monitor(monitor):
        publish_with_properties(broker.port, REQUEST_TOPIC, payload, CorrelationData=bytes(1000))
        wait_until(lambda: monitor.metric("messages_refused_total") >= 1, "the answer is set aside")
        wait_until(lambda: monitor.get("/readyz")[0] == 200, "the monitor is ready again")
        assert_works(monitor, broker.port)
        assert monitor.metric("mqtt_reconnects_total") <= 3
    with run_monitor(monitor):
        assert_works(monitor, broker.port)
        monitor.wait_for_metric(0, "mqtt_reconnects_total")
    proxy.close()


def test_request_that_an_earlier_process_left(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A request that ended the process before is done once more, and doesn't come a third time."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with run_monitor(monitor):
        pass  # the broker has its session now
    with connect_client(mosquitto.port, RESPONSE_TOPIC) as client:
        client.publish(REQUEST_TOPIC, {"group": "x", "minutes": 1, "transaction": 1})
        take_without_acknowledging(mosquitto.port, "monitor-under-test")
        with run_monitor(monitor):
            wait_until(lambda: client.payloads(RESPONSE_TOPIC), "it is answered")
        with run_monitor(monitor):
            assert_works(monitor, mosquitto.port)
        assert [answer["transaction"] for answer in client.payloads(RESPONSE_TOPIC)] == [1, 7]


@pytest.mark.parametrize("properties", [UNREADABLE, LONG, MANY], ids=["unreadable", "long", "many"])
def test_attack_on_a_plant_at_work(plant: Plant, properties: dict[str, Any]) -> None:
    """While such requests come all the time, alerts come in time and no reading is lost."""
    with plant.attack(partial(send_unanswerable, properties)):
        plant.turn_faulty()
        plant.send_rounds(4)
        plant.turn_faulty()
    plant.assert_unharmed()
    assert plant.monitor.metric("mqtt_reconnects_total") == 0
    assert plant.monitor.metric("requests_unanswerable_total") > 0
