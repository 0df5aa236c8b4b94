import json
import re
from pathlib import Path
from typing import Any

import jinja2
import pytest

from monitor.config.loading import load_settings
from monitor.core.errors import ConfigurationError
from monitor.publish.home_assistant import Discovery
from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY

# The discovery topics that Home Assistant accepts, below its prefix.
DISCOVERY_TOPIC = re.compile(r"binary_sensor/(?:[a-zA-Z0-9_-]+/)?([a-zA-Z0-9_-]+)/config")
UNUSUAL_NAMES = [
    "a/b",
    "a-b",
    "a_b",
    "A-B",
    "a b",
    "ä",
    "ö",
    "x" * 1000,
    '<img src="x">',
    "{{ 1/0 }}",
    "-",
    "日本",
]


class FakeHomeAssistant:
    """Reads the discovery messages as Home Assistant does, and renders the sensors' states from them."""

    def __init__(self, subscriber: Client, prefix: str) -> None:
        self._subscriber = subscriber
        self._prefix = prefix

    def _retained(self, topic: str) -> bytes:
        return next((text for name, text, _ in reversed(self._subscriber.messages) if name == topic), b"")

    def configs(self) -> dict[str, dict[str, Any]]:
        """Return the configuration of each announced sensor, by its name."""
        found = {}
        for topic in dict.fromkeys(name for name, _, _ in self._subscriber.messages):
            if topic.startswith(f"{self._prefix}/binary_sensor/") and self._retained(topic):
                assert DISCOVERY_TOPIC.fullmatch(topic.removeprefix(f"{self._prefix}/"))
                config = json.loads(self._retained(topic))
                found[config["name"]] = config
        return found

    def state(self, name: str) -> str:
        """Return the state that a sensor shows."""
        config = self.configs().get(name)
        if config is None:
            return "absent"
        if self._retained(config["availability"][0]["topic"]) != b"online":
            return "unavailable"
        value = self._retained(config["state_topic"])
        if not value:
            return "unknown"
        template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(config["value_template"])  # noqa: S701, no HTML
        return {"ON": "on", "OFF": "off", "None": "unknown"}[template.render(value_json=json.loads(value))]


def test_ids() -> None:
    """Each group has an id that Home Assistant accepts, unique also among the groups of several monitors."""
    topics, ids = set(), set()
    for base in ("sensor-monitor", "other"):
        discovery = Discovery("homeassistant", base)
        for group in UNUSUAL_NAMES:
            message = discovery.announce(group)
            config = json.loads(message.payload)
            match = DISCOVERY_TOPIC.fullmatch(message.topic.removeprefix("homeassistant/"))
            assert match
            assert match[1] == config["unique_id"]
            assert discovery.withdraw(group).topic == message.topic
            topics.add(message.topic)
            ids.add(config["unique_id"])
    assert len(topics) == len(ids) == 2 * len(UNUSUAL_NAMES)


def test_discovery_config() -> None:
    """A group is a binary sensor of class problem; its monitor is the device."""
    message = Discovery("ha", "base").announce("line1/a")
    config = json.loads(message.payload)
    assert message.retain
    assert config | {"value_template": "", "device": {}, "origin": {}} == {
        "name": "line1/a",
        "unique_id": config["unique_id"],
        "device_class": "problem",
        "state_topic": "base/state/line1/a",
        "json_attributes_topic": "base/state/line1/a",
        "availability": [{"topic": "base/status"}],
        "qos": 1,
        "value_template": "",
        "device": {},
        "origin": {},
    }
    assert config["device"] == json.loads(Discovery("ha", "base").announce("b").payload)["device"]
    assert config["device"] != json.loads(Discovery("ha", "c").announce("b").payload)["device"]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_sensor_state(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: str) -> None:
    """A sensor appears with its group, is on during an incident, and unavailable after the monitor's end."""
    extra = '[homeassistant]\ndiscovery = true\ndiscovery_prefix = "ha"'
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, extra, mqtt_toml=f'version = "{version}"')
    with connect_client(mosquitto.port, "#") as subscriber, connect_client(mosquitto.port) as sender:
        home_assistant = FakeHomeAssistant(subscriber, "ha")
        with run_monitor(monitor):
            for group in ("a", "{{ nothing.at.all }}"):
                sender.publish(f"plant/line1/{group}/reading", reading(1000, HEALTHY))
                wait_until(lambda g=group: home_assistant.state(f"line1/{g}") == "unknown", "it appears")  # type: ignore[misc]
            for begin, values, state in (
                (1005, HEALTHY, "off"),
                (1030, FAULTY, "on"),
                (1060, HEALTHY, "off"),
            ):
                rows = [reading(begin + 5 * number, values) for number in range(5)]
                sender.publish("plant/line1/a/reading", rows)
                wait_until(lambda s=state: home_assistant.state("line1/a") == s, f"it is {state}")  # type: ignore[misc]
            assert monitor.terminate() == 0
        wait_until(lambda: home_assistant.state("line1/a") == "unavailable", "it is unavailable")


def test_birth_message(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """After Home Assistant's birth message all groups are announced again; after its will they aren't."""
    extra = "[homeassistant]\ndiscovery = true"
    with (
        connect_client(mosquitto.port, "homeassistant/+/+/config") as subscriber,
        connect_client(mosquitto.port) as sender,
    ):
        with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, extra)) as monitor:
            sender.publish("plant/line1/a/reading", reading(1000, HEALTHY))
            wait_until(lambda: subscriber.messages, "it is announced")
            sender.publish("homeassistant/status", b"offline")
            sender.publish("plant/line1/a/reading", reading(1005, HEALTHY))
            wait_until(lambda: monitor.outcomes() == {"filling": 2}, "what follows the will is processed")
            before = len(subscriber.messages)
            assert before == 1, "the will causes no announcement"
            sender.publish("homeassistant/status", b"online")
            wait_until(lambda: len(subscriber.messages) > before, "it is announced again")
            assert monitor.outcomes() == {"filling": 2}, "a birth message is no reading"
        assert {topic for topic, _, _ in subscriber.messages} == {subscriber.messages[0][0]}


def test_evicted_group(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """The sensor of a group evicted because of max_groups is removed, and added again with the group."""
    extra = "[input]\nmax_groups = 1\n[homeassistant]\ndiscovery = true"
    with connect_client(mosquitto.port, "#") as subscriber, connect_client(mosquitto.port) as sender:
        home_assistant = FakeHomeAssistant(subscriber, "homeassistant")
        with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, extra)):
            for ts, group in ((1000, "a"), (1000, "b"), (1005, "a")):
                sender.publish(f"plant/line1/{group}/reading", reading(ts, HEALTHY))
                names = {f"line1/{group}"}
                wait_until(lambda n=names: set(home_assistant.configs()) == n, f"only {names} is there")  # type: ignore[misc]


def test_off_by_default(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Without homeassistant.discovery the monitor publishes nothing outside of base_topic."""
    with (
        connect_client(mosquitto.port, "#") as subscriber,
        run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)),
    ):
        subscriber.publish("plant/line1/a/reading", reading(1000, HEALTHY))
        subscriber.publish("homeassistant/status", b"online")
        wait_until(lambda: subscriber.payloads("sensor-monitor/state/"), "the state arrives")
        others = {topic for topic, _, _ in subscriber.messages if not topic.startswith("sensor-monitor/")}
        assert others == {"plant/line1/a/reading", "homeassistant/status"}


def test_input_that_reads_announcements(tmp_path: Path) -> None:
    """An input template that matches the announcements is refused if discovery is on."""
    file = tmp_path / "monitor.toml"
    text = '[input]\ntopics = ["homeassistant/{a}/{b}/config"]\n[homeassistant]\ndiscovery = '
    file.write_text(text + "false")
    load_settings(file)
    file.write_text(text + "true")
    with pytest.raises(ConfigurationError, match="matches topics under discovery_prefix 'homeassistant'"):
        load_settings(file)
