"""The shipped broker configuration on a real mosquitto: permissions, and queued messages across a restart."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, BrokerFactory, Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY

LOGINS = ("monitor", "operator", "plant")
READING_TOPIC = "plant/line1/station7/reading"
STATUS_TOPIC = "sensor-monitor/status"
ALERT_TOPIC = "sensor-monitor/alerts/line1/station7"
RELOAD_TOPIC = "sensor-monitor/request/reload"
TOPICS = {
    READING_TOPIC,
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
def broker(new_broker: BrokerFactory, tmp_path: Path, secrets_folder: Path) -> Mosquitto:
    """A broker with the shipped configuration, and one more login, `observer`, that may do everything."""
    instance = new_broker()
    observer_passwords = tmp_path / "observer"
    subprocess.run(["mosquitto_passwd", "-c", "-b", observer_passwords, "observer", "observer"], check=True)
    (tmp_path / "passwords").write_text(
        (secrets_folder / "broker").read_text() + observer_passwords.read_text()
    )
    config_folder = ROOT / "config" / "mosquitto"
    acl = (config_folder / "acl").read_text()
    (tmp_path / "acl").write_text(f"{acl}\nuser observer\ntopic readwrite #\n")
    text = (config_folder / "mosquitto.conf").read_text()
    for original, replacement in (
        ("listener 1883", f"listener {instance.port} 127.0.0.1"),
        ("/mosquitto/config/", f"{tmp_path}/"),
        ("/mosquitto/data/", f"{tmp_path}/"),
    ):
        assert original in text
        text = text.replace(original, replacement)
    (tmp_path / "mosquitto.conf").write_text(f"{text}\nuser root\n")
    instance.start()
    return instance


def login(secrets_folder: Path, name: str) -> dict[str, str]:
    """Return the keywords with which `connect_client` uses this login."""
    password = "observer" if name == "observer" else (secrets_folder / name).read_text().strip()
    return {"username": name, "password": password}


@pytest.mark.parametrize(
    ("name", "allowed_topics"),
    [("monitor", MONITOR_TOPICS), ("operator", {RELOAD_TOPIC}), ("plant", {READING_TOPIC})],
    ids=LOGINS,
)
def test_publish_permissions(
    broker: Mosquitto, secrets_folder: Path, name: str, allowed_topics: set[str]
) -> None:
    """The monitor may publish below its base topic only, operators only requests, the plant only readings."""
    with (
        connect_client(broker.port, "#", **login(secrets_folder, "observer")) as observer,
        connect_client(broker.port, **login(secrets_folder, name)) as publisher,
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
    ],
    ids=LOGINS,
)
def test_read_permissions(
    broker: Mosquitto, secrets_folder: Path, name: str, allowed_topics: set[str]
) -> None:
    """Monitor and operators may read the plant's and the monitor's topics; the plant may read nothing."""
    with (
        connect_client(broker.port, "#", **login(secrets_folder, name)) as subscriber,
        connect_client(broker.port, **login(secrets_folder, "observer")) as publisher,
    ):
        for topic in sorted(TOPICS):
            publisher.publish(topic, b"")
        subscriber.publish("elsewhere", b"")  # its PUBACK follows all earlier deliveries to this client
        assert {topic for topic, _, _ in subscriber.messages} == allowed_topics


@pytest.mark.parametrize("login_flags", [[], ["-u", "monitor"], ["-u", "monitor", "-P", "monitor"]])
def test_rejects_unknown_logins(broker: Mosquitto, login_flags: list[str]) -> None:
    """A client without a login or with a wrong password is refused."""
    command = ["mosquitto_pub", "-p", str(broker.port), "-t", READING_TOPIC, "-m", "{}", *login_flags]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "not authorised" in result.stderr.lower()


def test_monitor_works_with_shipped_acl(
    tmp_path: Path, broker: Mosquitto, secrets_folder: Path, toy_bundle: Path
) -> None:
    """With the shipped permissions the daemon can judge, raise alerts and answer operators."""
    mqtt = f'username = "monitor"\npassword_file = "{secrets_folder / "monitor"}"'
    with (
        connect_client(broker.port, "sensor-monitor/#", **login(secrets_folder, "operator")) as operator,
        connect_client(broker.port, **login(secrets_folder, "plant")) as plant,
        run_monitor(Monitor(tmp_path, toy_bundle, broker.port, mqtt_toml=mqtt)),
    ):
        plant.publish(READING_TOPIC, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
        wait_until(lambda: operator.payloads(ALERT_TOPIC), "the alert is received")
        wait_until(lambda: operator.texts(STATUS_TOPIC) == ["online"], "the monitor is online")
        operator.publish(RELOAD_TOPIC, b"")
        wait_until(lambda: operator.payloads("sensor-monitor/response/reload"), "the request is answered")
        (response,) = operator.payloads("sensor-monitor/response/reload")
        assert response["status"] == "ok"


def test_sparkplug_lines(broker: Mosquitto, tmp_path: Path, secrets_folder: Path) -> None:
    """With the lines for Sparkplug the monitor may read it, and write to edge nodes alone."""
    broker.stop()
    acl = (tmp_path / "acl").read_text()
    (tmp_path / "acl").write_text(acl.replace("# topic", "topic"))
    broker.start()
    topics = {f"spBv1.0/press/{name}" for name in ("NBIRTH/a", "DDATA/a/b", "NCMD/a", "DCMD/a/b")}
    with (
        connect_client(broker.port, "spBv1.0/#", **login(secrets_folder, "observer")) as observer,
        connect_client(broker.port, "spBv1.0/#", **login(secrets_folder, "monitor")) as monitor,
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


def test_queued_messages_survive_restart(broker: Mosquitto, secrets_folder: Path) -> None:
    """More messages than mosquitto queues by default are kept for an absent monitor, also over a restart."""
    count = 1500
    password = login(secrets_folder, "monitor")["password"]
    subscribe_command = ["mosquitto_sub", "-p", str(broker.port), "-u", "monitor", "-P", password]
    subscribe_command += ["-i", "absent", "-c", "-q", "1", "-t", "plant/#"]
    subprocess.run([*subscribe_command, "-E"], check=True)
    with connect_client(broker.port, **login(secrets_folder, "plant")) as plant:
        for number in range(count):
            plant.publish(READING_TOPIC, {"number": number})
    broker.stop()
    broker.start()
    result = subprocess.run(
        [*subscribe_command, "-C", str(count), "-W", "20"], capture_output=True, text=True, check=False
    )
    assert len(result.stdout.splitlines()) == count
