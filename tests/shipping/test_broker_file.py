"""The shipped broker configuration on a real mosquitto: permissions, and queued messages across a restart."""

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import ROOT, TIMEOUT_S, BrokerFactory, free_port, wait_until
from tests.monitor.cli.test_run import reading
from tests.support.certificates import create_ca, create_certificate
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.shipped_broker import ShippedBroker, configure_shipped_broker
from tests.support.toy_bundle import FAULTY

LOGINS = ("monitor", "operator", "plant", "station7")
READING_TOPIC = "plant/line1/station7/reading"
OTHER_STATION_TOPIC = "plant/line1/station8/reading"
READINGS_BY_NAME = {"plant/line2/station7/reading", "plant/line1/operator/reading"}
"""Topics with a login's name, which it may not publish on."""
STATUS_TOPIC = "sensor-monitor/status"
ALERT_TOPIC = "sensor-monitor/alerts/line1/station7"
RELOAD_TOPIC = "sensor-monitor/request/reload"
TOPICS = {
    READING_TOPIC,
    OTHER_STATION_TOPIC,
    *READINGS_BY_NAME,
    "plant/line1/reading",
    "plant/line1/station7/command",
    STATUS_TOPIC,
    ALERT_TOPIC,
    RELOAD_TOPIC,
    "elsewhere",
}
PLANT_TOPICS = {topic for topic in TOPICS if topic.startswith("plant/")}
MONITOR_TOPICS = {topic for topic in TOPICS if topic.startswith("sensor-monitor/")}


@pytest.fixture
def shipped(new_broker: BrokerFactory, secrets_folder: Path) -> ShippedBroker:
    """A broker with the shipped configuration, and two more logins: `observer`, and a station's."""
    prepared = configure_shipped_broker(new_broker(), secrets_folder, "observer", "station7")
    prepared.broker.start()
    return prepared


def connect(shipped: ShippedBroker, name: str, *filters: str) -> AbstractContextManager[Client]:
    """Connect a client by a login; it is closed at the end."""
    return connect_client(shipped.port_of(name), *filters, **shipped.login(name))


@pytest.mark.parametrize(
    ("name", "allowed_topics"),
    [
        ("monitor", MONITOR_TOPICS),
        ("operator", {RELOAD_TOPIC}),
        ("plant", {READING_TOPIC, OTHER_STATION_TOPIC, *READINGS_BY_NAME}),
        ("station7", {READING_TOPIC}),
    ],
    ids=LOGINS,
)
def test_publish_permissions(shipped: ShippedBroker, name: str, allowed_topics: set[str]) -> None:
    """Monitor: all below its base topic; operator: requests; gateway: readings; station: its own."""
    with (
        connect(shipped, "observer", "#") as observer,
        connect(shipped, name) as publisher,
    ):
        for topic in sorted(TOPICS):
            publisher.publish(topic, b"")
        observer.publish("end", b"")
        wait_until(lambda: observer.texts("end"), "all earlier messages are received")
        assert {topic for topic, _, _ in observer.messages} - {"end"} == allowed_topics


@pytest.mark.parametrize(
    ("name", "allowed_topics"),
    [
        ("monitor", PLANT_TOPICS | MONITOR_TOPICS),
        ("operator", PLANT_TOPICS | MONITOR_TOPICS),
        ("plant", set()),
        ("station7", set()),
    ],
    ids=LOGINS,
)
def test_read_permissions(shipped: ShippedBroker, name: str, allowed_topics: set[str]) -> None:
    """Monitor and operators may read the plant's and the monitor's topics; the plant may read nothing."""
    with (
        connect(shipped, name, "#") as subscriber,
        connect(shipped, "observer") as publisher,
    ):
        for topic in sorted(TOPICS):
            publisher.publish(topic, b"")
        subscriber.publish("elsewhere", b"")  # its PUBACK follows all earlier deliveries to this client
        assert {topic for topic, _, _ in subscriber.messages} == allowed_topics


@pytest.mark.parametrize("login_flags", [[], ["-u", "monitor"], ["-u", "monitor", "-P", "monitor"]])
def test_rejects_unknown_logins(shipped: ShippedBroker, login_flags: list[str]) -> None:
    """A client without a login or with a wrong password is refused."""
    command = ["mosquitto_pub", "-p", str(shipped.port), "-t", READING_TOPIC, "-m", "{}", *login_flags]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "not authorised" in result.stderr.lower()


def test_monitor_works_with_shipped_acl(tmp_path: Path, shipped: ShippedBroker, toy_bundle: Path) -> None:
    """With the shipped permissions the daemon can judge, raise alerts and answer operators."""
    with (
        connect(shipped, "operator", "sensor-monitor/#") as operator,
        connect(shipped, "plant") as plant,
        run_monitor(Monitor(tmp_path, toy_bundle, shipped.monitor_port, mqtt_toml=shipped.mqtt_toml)),
    ):
        plant.publish(READING_TOPIC, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
        wait_until(lambda: operator.payloads(ALERT_TOPIC), "the alert is received")
        wait_until(lambda: operator.texts(STATUS_TOPIC) == ["online"], "the monitor is online")
        operator.publish(RELOAD_TOPIC, b"")
        wait_until(lambda: operator.payloads("sensor-monitor/response/reload"), "the request is answered")
        (response,) = operator.payloads("sensor-monitor/response/reload")
        assert response["status"] == "ok"


def test_replay_works_with_shipped_files(tmp_path: Path, shipped: ShippedBroker) -> None:
    """`replay` publishes by the login `plant`, as in the stack, though it asks for the version first."""
    recording = tmp_path / "plant.csv"
    recording.write_text(
        "ts,group,temperature_1,humidity_1,temperature_2,humidity_2\n"
        + "".join(f"{1000 + 5 * number},line1/station7,20,50,20,50\n" for number in range(100))
    )
    settings = tmp_path / "plant.toml"
    password_file = shipped.secrets_folder / "plant"
    settings.write_text(
        f'[mqtt]\nport = {shipped.port}\nusername = "plant"\npassword_file = "{password_file}"'
    )
    command = [sys.executable, "-m", "monitor", "replay", recording, "--config", settings, "--speed", "0"]
    with connect(shipped, "operator", "plant/#") as operator:
        subprocess.run(command, check=True, timeout=TIMEOUT_S)
        wait_until(lambda: len(operator.messages) == 100, "all readings arrive")


def test_sparkplug_lines(shipped: ShippedBroker, tmp_path: Path) -> None:
    """With the lines for Sparkplug the monitor may read it, and write to edge nodes alone."""
    shipped.broker.stop()
    acl = (tmp_path / "acl").read_text()
    (tmp_path / "acl").write_text(acl.replace("# topic", "topic"))
    shipped.broker.start()
    topics = {f"spBv1.0/press/{name}" for name in ("NBIRTH/a", "DDATA/a/b", "NCMD/a", "DCMD/a/b")}
    with (
        connect(shipped, "observer", "spBv1.0/#") as observer,
        connect(shipped, "monitor", "spBv1.0/#") as monitor,
    ):
        for topic in sorted(topics):
            monitor.publish(topic, b"by the monitor")
        observer.publish("spBv1.0/press/DDATA/a/b", b"by the device")
        wait_until(
            lambda: len(monitor.messages) == len(observer.messages) == 2, "all that is allowed arrives"
        )
        assert [topic for topic, _, _ in observer.messages] == [
            "spBv1.0/press/NCMD/a",
            "spBv1.0/press/DDATA/a/b",
        ]


def test_queued_messages_survive_restart(shipped: ShippedBroker) -> None:
    """More messages than mosquitto queues by default are kept for an absent monitor, also over a restart."""
    count = 1500
    password = shipped.login("monitor")["password"]
    subscribe_command = ["mosquitto_sub", "-p", str(shipped.monitor_port), "-u", "monitor", "-P", password]
    subscribe_command += ["-i", "absent", "-c", "-q", "1", "-t", "plant/#"]
    subprocess.run([*subscribe_command, "-E"], check=True)
    with connect(shipped, "plant") as plant:
        for number in range(count):
            plant.publish(READING_TOPIC, {"number": number})
    shipped.broker.stop()
    shipped.broker.start()
    result = subprocess.run(
        [*subscribe_command, "-C", str(count), "-W", "20"], capture_output=True, text=True, check=False
    )
    assert len(result.stdout.splitlines()) == count


def test_packets_are_bounded(shipped: ShippedBroker) -> None:
    """A payload of 1 MiB arrives; for a larger packet the sender is disconnected."""
    with connect(shipped, "observer", "plant/#") as observer:
        with connect(shipped, "plant") as plant:
            plant.publish(READING_TOPIC, bytes(1 << 20))
        wait_until(lambda: len(observer.messages) == 1, "it arrives")
        disconnected: list[object] = []
        client = paho.Client(CallbackAPIVersion.VERSION2)  # 3.1.1: MQTT 5 knows the limit and sends nothing
        client.on_disconnect = lambda *_: disconnected.append(None)
        client.username_pw_set(*shipped.login("plant").values())
        client.connect("127.0.0.1", shipped.port)
        client.loop_start()
        client.publish(READING_TOPIC, bytes(1_200_000))
        wait_until(lambda: disconnected, "the sender is disconnected")
        client.disconnect()
        client.loop_stop()
        assert len(observer.messages) == 1


def test_queue_is_bounded_by_bytes(shipped: ShippedBroker) -> None:
    """Of 80 MiB for an absent client the broker keeps some 64 MiB, and goes on."""
    command = ["mosquitto_sub", "-p", str(shipped.port), "-u", "observer", "-P", "observer"]
    command += ["-i", "any", "-c", "-q", "1", "-t", "plant/#"]
    subprocess.run([*command, "-E"], check=True)
    payload = bytes(1 << 20)
    with connect(shipped, "plant") as plant:
        for _ in range(80):
            plant.publish(READING_TOPIC, payload)
        plant.publish(OTHER_STATION_TOPIC, b"last")
    assert 63 <= stored_megabytes(shipped) <= 70


def test_memory_is_bounded(shipped: ShippedBroker) -> None:
    """Retained messages on ever more topics fill 256 MiB of the broker and no more, and it goes on."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    disconnected: list[object] = []
    client.on_disconnect = lambda *_: disconnected.append(None)
    client.username_pw_set(*shipped.login("plant").values())
    client.connect("127.0.0.1", shipped.port)
    client.loop_start()
    for number in range(300):
        if disconnected:
            break
        topic = f"plant/line1/station{number}/reading"
        client.publish(topic, bytes(1 << 20), qos=1, retain=True).wait_for_publish(2.0)
    client.disconnect()
    client.loop_stop()
    assert disconnected
    assert 200 <= stored_megabytes(shipped) <= 270
    with connect(shipped, "monitor", "sensor-monitor/#") as monitor:
        monitor.publish(STATUS_TOPIC, b"online")
        wait_until(lambda: monitor.texts(STATUS_TOPIC) == ["online"], "the broker goes on")


def stored_megabytes(shipped: ShippedBroker) -> float:
    """Return the size of the broker's database after a clean stop; start it again."""
    shipped.broker.stop()
    size = (shipped.broker.folder / "mosquitto.db").stat().st_size
    shipped.broker.start()
    return size / (1 << 20)


def test_listeners_bind_to_loopback() -> None:
    """No listener of the file can be reached from another machine; only containers' do, behind `ports`."""
    text = (ROOT / "config" / "mosquitto" / "mosquitto.conf").read_text()
    listeners = [line for line in text.splitlines() if line.startswith("listener")]
    assert listeners == ["listener 1884 127.0.0.1", "listener 1883 127.0.0.1"]


def test_containers_have_the_same_file() -> None:
    """docker/mosquitto.conf differs in its paths and addresses only."""

    def lines(path: str) -> list[str]:
        text = (ROOT / path).read_text()
        for original, replacement in (
            ("/mosquitto/config/", "/etc/mosquitto/"),
            ("/mosquitto/data/", "/var/lib/mosquitto/"),
            ("0.0.0.0", "127.0.0.1"),  # noqa: S104, the address of a container
        ):
            text = text.replace(original, replacement)
        return text.split("\n\n", 1)[1].splitlines()

    assert lines("docker/mosquitto.conf") == lines("config/mosquitto/mosquitto.conf")


def test_tls_listener(new_broker: BrokerFactory, secrets_folder: Path, tmp_path: Path) -> None:
    """The lines for TLS work once their comment signs are removed, with a certificate."""
    shipped = configure_shipped_broker(new_broker(), secrets_folder)
    create_ca(tmp_path, "ca")
    create_certificate(tmp_path, "ca", "server")
    port = free_port()
    file = tmp_path / "mosquitto.conf"
    head, tls = file.read_text().split("# listener 8883")
    tls = tls.replace("\n# ", "\n")
    file.write_text(f"{head}listener {port}{tls}")
    shipped.broker.start()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.tls_set(str(tmp_path / "ca.pem"))
    client.username_pw_set(*shipped.login("plant").values())
    client.connect("127.0.0.1", port)
    client.loop_start()
    message = client.publish(READING_TOPIC, b"{}", qos=1)
    message.wait_for_publish(TIMEOUT_S)
    client.disconnect()
    client.loop_stop()
    assert message.is_published()
