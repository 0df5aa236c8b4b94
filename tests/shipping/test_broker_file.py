"""The broker's files that ship, on a real mosquitto: who may do what, and that nothing waiting is lost."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Mosquitto, NewBroker, wait_until
from tests.monitor.cli.test_run import reading
from tests.support.processes import Monitor, client, running
from tests.support.toy_bundle import FAULTY

LOGINS = ("monitor", "operator", "plant")
READING = "plant/line1/station7/reading"
STATUS = "sensor-monitor/status"
ALERT = "sensor-monitor/alerts/line1/station7"
RELOAD = "sensor-monitor/request/reload"
TOPICS = {READING, "plant/line1/reading", "plant/line1/station7/command", STATUS, ALERT, RELOAD, "elsewhere"}
PLANT = {topic for topic in TOPICS if topic.startswith("plant/")}
OURS = {topic for topic in TOPICS if topic.startswith("sensor-monitor/")}


@pytest.fixture
def broker(new_broker: NewBroker, tmp_path: Path, secrets: Path) -> Mosquitto:
    """The shipped broker, with one more login that may do everything, to see by."""
    started = new_broker()
    witness = tmp_path / "witness"
    subprocess.run(["mosquitto_passwd", "-c", "-b", witness, "witness", "witness"], check=True)
    (tmp_path / "passwords").write_text((secrets / "broker").read_text() + witness.read_text())
    shipped = ROOT / "config" / "mosquitto"
    acl = (shipped / "acl").read_text()
    (tmp_path / "acl").write_text(f"{acl}\nuser witness\ntopic readwrite #\n")
    text = (shipped / "mosquitto.conf").read_text()
    for path, here in (
        ("listener 1883", f"listener {started.port} 127.0.0.1"),
        ("/mosquitto/config/", f"{tmp_path}/"),
        ("/mosquitto/data/", f"{tmp_path}/"),
    ):
        assert path in text
        text = text.replace(path, here)
    (tmp_path / "mosquitto.conf").write_text(f"{text}\nuser root\n")
    started.start()
    return started


def login(secrets: Path, name: str) -> dict[str, str]:
    """Return what `client` takes to be this login."""
    password = "witness" if name == "witness" else (secrets / name).read_text().strip()
    return {"username": name, "password": password}


@pytest.mark.parametrize(
    ("name", "may"), [("monitor", OURS), ("operator", {RELOAD}), ("plant", {READING})], ids=LOGINS
)
def test_who_may_publish(broker: Mosquitto, secrets: Path, name: str, may: set[str]) -> None:
    """The monitor owns its base topic, operators send requests, plants send readings, and that is all."""
    with (
        client(broker.port, "#", **login(secrets, "witness")) as witness,
        client(broker.port, **login(secrets, name)) as own,
    ):
        for topic in sorted(TOPICS):
            own.publish(topic, b"")
        witness.publish("end", b"")
        wait_until(lambda: witness.texts("end"), "what came before the end has come")
        assert {topic for topic, _, _ in witness.messages} - {"end"} == may


@pytest.mark.parametrize(
    ("name", "may"), [("monitor", PLANT | OURS), ("operator", PLANT | OURS), ("plant", set())], ids=LOGINS
)
def test_who_may_read(broker: Mosquitto, secrets: Path, name: str, may: set[str]) -> None:
    """Monitor and operators read the plant and what the monitor says; plants read nothing."""
    with (
        client(broker.port, "#", **login(secrets, name)) as own,
        client(broker.port, **login(secrets, "witness")) as witness,
    ):
        for topic in sorted(TOPICS):
            witness.publish(topic, b"")
        own.publish("elsewhere", b"")  # confirmed only after all that went to us before
        assert {topic for topic, _, _ in own.messages} == may


@pytest.mark.parametrize("words", [[], ["-u", "monitor"], ["-u", "monitor", "-P", "monitor"]])
def test_strangers(broker: Mosquitto, words: list[str]) -> None:
    """Who has no login, or the wrong password, isn't let in."""
    command = ["mosquitto_pub", "-p", str(broker.port), "-t", READING, "-m", "{}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "not authorised" in done.stderr.lower()


def test_a_plant_is_judged(tmp_path: Path, broker: Mosquitto, secrets: Path, toy_bundle: Path) -> None:
    """With these rights the daemon does all it does: it judges, raises alerts, and answers operators."""
    mqtt = f'username = "monitor"\npassword_file = "{secrets / "monitor"}"'
    with (
        client(broker.port, "sensor-monitor/#", **login(secrets, "operator")) as operator,
        client(broker.port, **login(secrets, "plant")) as plant,
        running(Monitor(tmp_path, toy_bundle, broker.port, mqtt=mqtt)),
    ):
        plant.publish(READING, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
        wait_until(lambda: operator.payloads(ALERT), "the alert comes")
        wait_until(lambda: operator.texts(STATUS) == ["online"], "it says that it is there")
        operator.publish(RELOAD, b"")
        wait_until(lambda: operator.payloads("sensor-monitor/response/reload"), "it answers")
        (answer,) = operator.payloads("sensor-monitor/response/reload")
        assert answer["status"] == "ok"


def test_nothing_that_waits_is_lost(broker: Mosquitto, secrets: Path) -> None:
    """More readings than mosquitto keeps by default wait for a monitor that is away, also over a restart."""
    count = 1500
    password = login(secrets, "monitor")["password"]
    listen = ["mosquitto_sub", "-p", str(broker.port), "-u", "monitor", "-P", password]
    listen += ["-i", "away", "-c", "-q", "1", "-t", "plant/#"]
    subprocess.run([*listen, "-E"], check=True)
    with client(broker.port, **login(secrets, "plant")) as plant:
        for number in range(count):
            plant.publish(READING, {"number": number})
    broker.stop()
    broker.start()
    done = subprocess.run(
        [*listen, "-C", str(count), "-W", "20"], capture_output=True, text=True, check=False
    )
    assert len(done.stdout.splitlines()) == count
