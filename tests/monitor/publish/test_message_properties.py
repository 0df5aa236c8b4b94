"""What messages say of themselves in MQTT 5, as a subscriber reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from monitor.publish.message_properties import STATE_EXPIRY_S
from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY

PropertiesByTopic = dict[str, dict[str, Any]]


@contextmanager
def record_properties(port: int) -> Iterator[PropertiesByTopic]:
    """Collect what the newest message of each topic says of itself."""
    properties: PropertiesByTopic = {}

    def take(_: Any, __: Any, message: paho.MQTTMessage) -> None:
        properties[message.topic.removeprefix("sensor-monitor/")] = (
            message.properties.json() if message.properties else {}
        )

    subscriber = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    subscriber.on_message = take
    subscriber.connect("127.0.0.1", port)
    subscriber.subscribe("#", qos=1)
    subscriber.loop_start()
    yield properties
    subscriber.disconnect()
    subscriber.loop_stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_message_properties(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: str) -> None:
    """Messages tell their content's type, states their expiry, verdicts their schema and bundle."""
    extra = "[homeassistant]\ndiscovery = true"
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, extra, mqtt_toml=f'version = "{version}"')
    with connect_client(mosquitto.port) as sender, run_monitor(monitor):
        sender.publish(TOPIC, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
        with record_properties(mosquitto.port) as properties:
            wait_until(lambda: "state/line1/station7" in properties, "the state comes")
            sender.publish(TOPIC, [reading(1015 + 5 * number, [20.0] * 4) for number in range(6)])
            sender.publish("sensor-monitor/request/acknowledge", b"{}")
            wait_until(
                lambda: {"alerts/line1/station7", "response/acknowledge"} <= set(properties), "the rest comes"
            )
            (discovery,) = [topic for topic in properties if topic.startswith("homeassistant/")]
            monitor.kill()
            wait_until(lambda: properties["status"] is not None, "it is dead")
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
