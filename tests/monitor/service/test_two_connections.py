"""Readings come and alerts go by two connections, and a broker may admit one of them only."""

from pathlib import Path

import pytest

from tests.conftest import BrokerFactory, Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY

ADMITTED_PREFIX = "monitor-under-test"
REFUSED = 'publish_client_id = "publisher"'
READINGS = [reading(1000 + 5 * number, FAULTY) for number in range(3)]


@pytest.fixture
def strict_broker(new_broker: BrokerFactory) -> Mosquitto:
    """A broker, not started yet, that admits client ids with `ADMITTED_PREFIX` only, and logs them."""
    return new_broker(
        *("allow_anonymous true", f"clientid_prefixes {ADMITTED_PREFIX}", "log_type all"),
        f"auto_id_prefix {ADMITTED_PREFIX}-auto-",
    )


def connected_ids(broker: Mosquitto) -> set[str]:
    """Return the client ids that the broker has admitted, but for the tests' own."""
    lines = (broker.folder / "mosquitto.log").read_text().splitlines()
    ids = {line.split(" as ")[1].split()[0] for line in lines if "New client connected" in line}
    return {name for name in ids if "-auto-" not in name}


@pytest.mark.parametrize("broker_first", [True, False])
def test_refused_output(
    tmp_path: Path, strict_broker: Mosquitto, toy_bundle: Path, *, broker_first: bool
) -> None:
    """Log, metrics and /readyz say that no alert can leave, whichever connection is tried first."""
    monitor = Monitor(tmp_path, toy_bundle, strict_broker.port, mqtt_toml=REFUSED)
    try:
        if broker_first:
            strict_broker.start()
        monitor.start()
        if not broker_first:
            wait_until(lambda: "no connection to" in monitor.log(), "the absent broker is logged")
            strict_broker.start()
        expected = "alerts and states wait: the broker at"
        monitor.wait_for_log(expected)
        assert "and that 'publisher' is admitted" in monitor.log()
        wait_until(lambda: monitor.metric("mqtt_connection_up", connection="input") == 1, "the input is up")
        assert monitor.metric("mqtt_connection_up", connection="output") == 0
        assert monitor.metric("mqtt_connected") == 0
        status, text = monitor.get("/readyz")
        assert status == 503
        assert "'publisher'" in text
    finally:
        monitor.kill()


def test_ids_can_be_set(tmp_path: Path, strict_broker: Mosquitto, toy_bundle: Path) -> None:
    """The connections use the ids that the settings give, and the version is asked for once."""
    ids = {f"{ADMITTED_PREFIX}-alerts", f"{ADMITTED_PREFIX}-5"}
    strict_broker.start()
    monitor = Monitor(
        *(tmp_path, toy_bundle, strict_broker.port),
        mqtt_toml=f'publish_client_id = "{ADMITTED_PREFIX}-alerts"\nprobe_client_id = "{ADMITTED_PREFIX}-5"',
    )
    with run_monitor(monitor):
        assert connected_ids(strict_broker) == {ADMITTED_PREFIX, *ids}
        monitor.wait_for_metric(1, "mqtt_connected")


@pytest.mark.parametrize("version", ["5", "3.1.1", "auto"])
def test_one_connection(tmp_path: Path, strict_broker: Mosquitto, toy_bundle: Path, version: str) -> None:
    """With one connection alerts, states and discovery go out by it, and Home Assistant's birth comes."""
    strict_broker.start()
    monitor = Monitor(
        *(tmp_path, toy_bundle, strict_broker.port, "[homeassistant]\ndiscovery = true"),
        mqtt_toml=f'connections = 1\nversion = "{version}"\n{REFUSED}',
    )
    topic = "homeassistant/binary_sensor/line1-b"
    with connect_client(strict_broker.port, "sensor-monitor/#", "homeassistant/#") as other:
        with run_monitor(monitor):
            other.publish("plant/line1/b/reading", READINGS)
            wait_until(lambda: other.payloads("sensor-monitor/alerts/line1/b"), "the alert arrives")
            wait_until(lambda: len(other.payloads(topic)) == 1, "the group is discovered")
            other.publish("homeassistant/status", b"online")
            wait_until(lambda: len(other.payloads(topic)) == 2, "it is discovered again")
            assert monitor.outcomes() == {"filling": 2, "judged": 1}
            gauges = [monitor.metric("mqtt_connection_up", connection=name) for name in ("input", "output")]
            assert gauges == [1, 1]
            assert monitor.terminate() == 0
        wait_until(lambda: other.texts("sensor-monitor/status")[-1] == "offline", "it says that it leaves")
    assert connected_ids(strict_broker) - {f"{ADMITTED_PREFIX}-version"} == {ADMITTED_PREFIX}
