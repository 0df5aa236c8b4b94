"""What messages say of themselves in MQTT 5, as a subscriber reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from monitor.publish.message_properties import STATE_EXPIRY
from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.support.processes import Monitor, client, running
from tests.support.toy_bundle import FAULTY

Said = dict[str, dict[str, Any]]


@contextmanager
def listener(port: int) -> Iterator[Said]:
    """Collect what the newest message of each topic says of itself."""
    said: Said = {}

    def take(_: Any, __: Any, message: paho.MQTTMessage) -> None:
        said[message.topic.removeprefix("sensor-monitor/")] = (
            message.properties.json() if message.properties else {}
        )

    asked = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    asked.on_message = take
    asked.connect("127.0.0.1", port)
    asked.subscribe("#", qos=1)
    asked.loop_start()
    yield said
    asked.disconnect()
    asked.loop_stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_what_is_said(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: str) -> None:
    """Messages tell their content's type, states their expiry, verdicts their schema and bundle."""
    extra = "[homeassistant]\ndiscovery = true"
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, extra, mqtt=f'version = "{version}"')
    with client(mosquitto.port) as plant, running(monitor):
        plant.publish(TOPIC, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
        with listener(mosquitto.port) as said:
            wait_until(lambda: "state/line1/station7" in said, "the state comes")
            plant.publish(TOPIC, [reading(1015 + 5 * number, [20.0] * 4) for number in range(6)])
            plant.publish("sensor-monitor/request/acknowledge", b"{}")
            wait_until(
                lambda: {"alerts/line1/station7", "response/acknowledge"} <= set(said), "the rest comes"
            )
            (discovery,) = [topic for topic in said if topic.startswith("homeassistant/")]
            monitor.kill()
            wait_until(lambda: said["status"] is not None, "it is dead")
    if version == "3.1.1":
        assert not any("ContentType" in about for about in said.values())
        return
    bundle = dict(said["alerts/line1/station7"]["UserProperty"])["bundle"]
    verdict = {"ContentType": "application/json", "UserProperty": [("schema", "1"), ("bundle", bundle)]}
    assert said["alerts/line1/station7"] == verdict
    expiry = said["state/line1/station7"].pop("MessageExpiryInterval")
    assert STATE_EXPIRY - 60 < expiry <= STATE_EXPIRY
    assert said["state/line1/station7"] == verdict
    for topic in ("info", "muted", "response/acknowledge", discovery):
        assert said[topic] == {"ContentType": "application/json"}, topic
    assert said["status"] == {"ContentType": "text/plain"}
