"""Somebody with a login at the broker connects with the monitor's client ids."""

from functools import partial
from pathlib import Path

import pytest

from tests.conftest import TIMEOUT_S, BrokerFactory, Mosquitto, free_port, wait_until
from tests.monitor.cli.test_run import reading
from tests.security.attackers import Target
from tests.security.broker_clients import ProxyThatNamesTakeovers, connect_as
from tests.security.plant import Plant
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.shipped_broker import ShippedBroker, configure_shipped_broker, make_secrets
from tests.support.toy_bundle import FAULTY

CLIENT_IDS = ("monitor-under-test", "monitor-under-test-out", "monitor-under-test-version")
READINGS = [reading(1000 + 5 * number, FAULTY) for number in range(3)]
READING_TOPIC, ALERT_TOPIC = "plant/line1/station7/reading", "sensor-monitor/alerts/line1/station7"


@pytest.fixture(scope="module")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that docker/secrets.sh fills."""
    return make_secrets(tmp_path_factory.mktemp("stack"))


@pytest.fixture
def shipped(new_broker: BrokerFactory, secrets_folder: Path) -> ShippedBroker:
    """A broker with the shipped configuration."""
    prepared = configure_shipped_broker(new_broker(), secrets_folder)
    prepared.broker.start()
    return prepared


def attack_shipped(shipped: ShippedBroker, client_id: str) -> None:
    """Connect with an id of the monitor's by the logins that a plant's people have, wherever they can."""
    for name in ("plant", "operator"):
        assert connect_as(shipped.port, client_id, **shipped.login(name)) == "Success"
        assert connect_as(shipped.monitor_port, client_id, **shipped.login(name)) == "Not authorized"
    assert connect_as(shipped.monitor_port, client_id) == "Not authorized"


def take_client_ids(port: int, target: Target) -> None:
    """Connect with the monitor's client ids, again and again."""
    while not target.stopped.is_set():
        for client_id in CLIENT_IDS:
            connect_as(port, client_id, username="plant")
        target.started.set()


@pytest.mark.parametrize("clean_start", [True, False])
@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_monitor_takes_its_session_back(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: str, *, clean_start: bool
) -> None:
    """Where the broker lets anybody use its client ids, the monitor comes back each time, never exits."""
    proxy = ProxyThatNamesTakeovers(mosquitto.port)
    monitor = Monitor(tmp_path, toy_bundle, proxy.port, mqtt_toml=f'version = "{version}"')
    with run_monitor(monitor):
        for count in range(1, 4):
            connect_as(mosquitto.port, CLIENT_IDS[0], clean_start=clean_start)
            monitor.wait_for_metric(count, "mqtt_reconnects_total")
            wait_until(lambda: monitor.get("/readyz")[0] == 200, "the monitor is ready again")
        assert not monitor.has_exited()
        if version == "5":  # 3.1.1 has no reason codes
            monitor.wait_for_metric(3, "mqtt_session_takeovers_total")
            assert monitor.log().count("as 'monitor-under-test' and took the session") == 1, "once a minute"
        # A clean start ends the session with what waits in it.
        monitor.wait_for_metric(3.0 if clean_start else 0.0, "mqtt_sessions_lost_total")
        assert monitor.log().count("readings and requests that waited there are lost") == clean_start
        with connect_client(mosquitto.port, ALERT_TOPIC) as client:
            client.publish(READING_TOPIC, READINGS)
            wait_until(lambda: client.payloads(ALERT_TOPIC), "its alert comes")
    proxy.close()


def test_output_is_taken(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """The connection by which alerts go out comes back as well."""
    proxy = ProxyThatNamesTakeovers(mosquitto.port)
    with run_monitor(Monitor(tmp_path, toy_bundle, proxy.port)) as monitor:
        connect_as(mosquitto.port, CLIENT_IDS[1])
        monitor.wait_for_metric(1, "mqtt_session_takeovers_total")
        monitor.wait_for_log("as 'monitor-under-test-out' and took the session")
        with connect_client(mosquitto.port, ALERT_TOPIC) as client:
            client.publish(READING_TOPIC, READINGS)
            wait_until(lambda: client.payloads(ALERT_TOPIC), "its alert comes")
        assert not monitor.has_exited()
    proxy.close()


def test_newer_monitor_keeps_the_session(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Of two monitors with one client id the older one leaves with exit code 2, as the claim tells."""
    proxy = ProxyThatNamesTakeovers(mosquitto.port)
    monitors = []
    try:
        for name in ("older", "newer"):
            (tmp_path / name).mkdir()
            monitors.append(Monitor(tmp_path / name, toy_bundle, proxy.port))
            monitors[-1].start()
            wait_until(lambda: "connected to" in monitors[-1].log(), "it connects")
        older, newer = monitors
        assert older.process is not None
        assert older.process.wait(TIMEOUT_S) == 2
        assert "another monitor, which started later, connected as 'monitor-under-test'" in older.log()
        wait_until(lambda: newer.get("/readyz")[0] == 200, "the newer one is ready")
        assert not newer.has_exited()
    finally:
        for monitor in monitors:
            monitor.kill()
        proxy.close()


def test_shipped_files_tie_client_ids_to_logins(
    tmp_path: Path, shipped: ShippedBroker, toy_bundle: Path
) -> None:
    """With the shipped broker files no other login disturbs the monitor, nor what waits for it meanwhile."""
    monitor = Monitor(tmp_path, toy_bundle, shipped.monitor_port, mqtt_toml=shipped.mqtt_toml)
    with connect_client(shipped.port, ALERT_TOPIC, **shipped.login("operator")) as operator:
        with run_monitor(monitor):
            for client_id in CLIENT_IDS:
                assert connect_as(shipped.port, client_id, **shipped.login("plant")) == "Success"
            assert monitor.get("/readyz")[0] == 200
        with connect_client(shipped.port, **shipped.login("plant")) as plant:
            plant.publish(READING_TOPIC, READINGS)
        for client_id in CLIENT_IDS:
            attack_shipped(shipped, client_id)
        with run_monitor(monitor):
            monitor.wait_for_metric(1, "readings_total", outcome="judged")
            monitor.wait_for_metric(0, "mqtt_sessions_lost_total")
            monitor.wait_for_metric(0, "mqtt_reconnects_total")
    assert not operator.texts("sensor-monitor/status")


def test_attack_on_a_plant_at_work(tmp_path: Path, toy_bundle: Path) -> None:
    """While somebody connects as the monitor all the time, alerts come in time and no reading is lost."""
    port = free_port()
    lines = (f"listener {port} 127.0.0.1", "use_username_as_clientid true")  # as in the shipped file
    with Plant(tmp_path, toy_bundle, broker_lines=lines) as plant:
        with plant.attack(partial(take_client_ids, port)):
            plant.turn_faulty()
            plant.send_rounds(4)
            plant.turn_faulty()
        plant.assert_unharmed()
        assert plant.monitor.metric("mqtt_reconnects_total") == 0


@pytest.fixture
def one_listener(new_broker: BrokerFactory, tmp_path: Path) -> Mosquitto:
    """A broker that takes logins for client ids, on a listener for all; not started yet."""
    return new_broker(
        "allow_anonymous true",
        "use_username_as_clientid true",
        "persistence true",
        f"persistence_location {tmp_path}/",
    )


def test_logins_as_client_ids(tmp_path: Path, one_listener: Mosquitto, toy_bundle: Path) -> None:
    """With a login for each of its connections the monitor works, and finds what waited for it."""
    one_listener.start()
    toml = 'username = "monitor"\npublish_username = "monitor-out"'
    monitor = Monitor(tmp_path, toy_bundle, one_listener.port, mqtt_toml=toml)
    with connect_client(one_listener.port, ALERT_TOPIC, username="plant") as plant:
        with run_monitor(monitor):
            plant.publish(READING_TOPIC, READINGS[:2])
            monitor.wait_for_metric(2, "readings_total", outcome="filling")
            monitor.wait_for_metric(0, "mqtt_reconnects_total")
        plant.publish(READING_TOPIC, READINGS[2])
        with run_monitor(monitor):
            wait_until(lambda: plant.payloads(ALERT_TOPIC), "the alert comes")
            monitor.wait_for_metric(0, "mqtt_sessions_lost_total")
            monitor.wait_for_metric(1, "mqtt_connected")


def test_one_login_for_two_connections(tmp_path: Path, one_listener: Mosquitto, toy_bundle: Path) -> None:
    """With one login they disconnect each other there; the log says what to set, and the pauses grow."""
    one_listener.start()
    monitor = Monitor(tmp_path, toy_bundle, one_listener.port, mqtt_toml='username = "monitor"')
    try:
        monitor.start()
        monitor.wait_for_log("mqtt.publish_username")
        assert not monitor.has_exited()
    finally:
        monitor.kill()
