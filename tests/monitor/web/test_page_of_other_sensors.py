import time
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Mosquitto, wait_until
from tests.monitor.web.test_page import is_visible
from tests.support.browser import Browser
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.small_training import train_on_simulation

pytestmark = pytest.mark.tensorflow

PUMP = """
features = [
  {name = "vibration_1", unit = "mm/s"},
  {name = "vibration_2", unit = "mm/s"},
  {name = "pressure_1", unit = "bar", low = 0.0, high = 4.0, accuracy = 0.02},
]
"""
TOPIC, GROUP = "plant/line1/station1/reading", "line1/station1"
HEALTHY_READINGS = 90


def test_a_pump(tmp_path: Path, mosquitto: Mosquitto, browser: Browser) -> None:
    """A vibration sensor that reads five times as much is an alert; the page notes what has no neighbour."""
    config = tmp_path / "training.toml"
    config.write_text(PUMP)
    bundle = train_on_simulation(config, tmp_path)
    plant = pd.read_csv(tmp_path / "plant.csv")
    readings = plant[plant["group"] == GROUP].drop(columns=["group", "label"]).to_dict("records")
    offset_s = time.time() - 1000 - readings[0]["ts"]
    for reading in readings:
        reading["ts"] += offset_s
    with (
        connect_client(mosquitto.port, "sensor-monitor/#") as client,
        run_monitor(Monitor(tmp_path, bundle, mosquitto.port)) as monitor,
    ):
        client.publish(TOPIC, readings[:HEALTHY_READINGS])
        browser.open(monitor.address)
        wait_until(lambda: is_visible(browser, ".row .badge", "normal"), "the group is normal")
        assert is_visible(browser, "#notes", "pressure_1 has no neighbour: only limits, spikes and")
        assert is_visible(browser, "#head", "vibration_2")
        assert client.payloads("sensor-monitor/alerts/") == []
        for reading in readings[HEALTHY_READINGS : HEALTHY_READINGS + 10]:
            client.publish(TOPIC, {**reading, "vibration_2": 5 * reading["vibration_2"]})
        wait_until(lambda: client.payloads("sensor-monitor/alerts/"), "an alert is published")
        (alert, *_) = client.payloads("sensor-monitor/alerts/")
        assert (alert["group"], alert["status"]) == (GROUP, "firing")
        wait_until(lambda: is_visible(browser, ".alert .values", "mm/s"), "the page has the alert")
        assert is_visible(browser, ".alert .reason", "vibration_2")
        browser.open(
            "about:blank"
        )  # before the monitor closes its connection, which is an error in the console
