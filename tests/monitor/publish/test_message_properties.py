"""The MQTT 5 properties of published messages, as a subscriber receives them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from monitor.core.messages import MessageProperties, OutboundMessage
from monitor.publish.message_properties import STATE_EXPIRY_S, message_properties
from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY


@dataclass
class ReceivedMessage:
    """The newest message of a topic."""

    payload: bytes
    properties: dict[str, Any]


@contextmanager
def record_messages(port: int) -> Iterator[dict[str, ReceivedMessage]]:
    """Subscribe to everything; yield the newest message of each topic, `sensor-monitor/` left out."""
    received: dict[str, ReceivedMessage] = {}

    def on_message(_: Any, __: Any, message: paho.MQTTMessage) -> None:
        properties = message.properties.json() if message.properties else {}
        received[message.topic.removeprefix("sensor-monitor/")] = ReceivedMessage(message.payload, properties)

    subscriber = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    subscriber.on_message = on_message
    subscriber.connect("127.0.0.1", port)
    subscriber.subscribe("#", qos=1)
    subscriber.loop_start()
    yield received
    subscriber.disconnect()
    subscriber.loop_stop()


def discovery_topics(received: dict[str, ReceivedMessage]) -> list[str]:
    """Return the topics that Home Assistant reads."""
    return [topic for topic in received if topic.startswith("homeassistant/")]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_message_properties(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: str) -> None:
    """Messages have a content type, states an expiry too, and verdicts their schema and bundle."""
    extra = "[homeassistant]\ndiscovery = true"
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, extra, mqtt_toml=f'version = "{version}"')
    with connect_client(mosquitto.port) as sender, run_monitor(monitor):
        sender.publish(TOPIC, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
        with record_messages(mosquitto.port) as received:
            wait_until(lambda: "state/line1/station7" in received, "the state arrives")
            sender.publish(TOPIC, [reading(1015 + 5 * number, [20.0] * 4) for number in range(6)])
            sender.publish("sensor-monitor/request/acknowledge", b"{}")
            others = {"alerts/line1/station7", "response/acknowledge", "info", "muted", "status"}
            wait_until(lambda: others <= set(received) and discovery_topics(received), "the rest arrives")
            (discovery,) = discovery_topics(received)
            assert received["status"].payload == b"online"
            monitor.kill()
            wait_until(lambda: received["status"].payload == b"offline", "the broker publishes the will")
    properties = {topic: message.properties for topic, message in received.items()}
    if version == "3.1.1":
        assert not any("ContentType" in message_properties for message_properties in properties.values())
        return
    bundle = dict(properties["alerts/line1/station7"]["UserProperty"])["bundle"]
    verdict = {"ContentType": "application/json", "UserProperty": [("schema", "1"), ("bundle", bundle)]}
    assert properties["alerts/line1/station7"] == verdict
    expiry = properties["state/line1/station7"].pop("MessageExpiryInterval")
    assert STATE_EXPIRY_S - 60 < expiry <= STATE_EXPIRY_S
    assert properties["state/line1/station7"] == verdict
    for topic in ("info", "muted", "response/acknowledge", discovery):
        assert properties[topic] == {"ContentType": "application/json"}, topic
    assert properties["status"] == {"ContentType": "text/plain"}


@pytest.mark.parametrize("payload", [b"", b"\x08\x05\x12\x02\x0a\x00"], ids=["deletion", "sparkplug-command"])
def test_no_content_type(payload: bytes) -> None:
    """What isn't JSON doesn't say that it is."""
    message = OutboundMessage("spBv1.0/press/NCMD/a", payload, retain=False, is_full_topic=True)
    assert message_properties(message) == MessageProperties()
