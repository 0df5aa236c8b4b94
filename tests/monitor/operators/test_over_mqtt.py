"""What operators ask over MQTT, seen from outside: real brokers, real processes, really killed."""

import json
import resource
import signal
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.support.processes import Client, Monitor, client, running
from tests.support.toy_bundle import FAULTY, HEALTHY
from training.data import windows_file

ALERTS, ANSWERS, GROUP = "sensor-monitor/alerts/", "sensor-monitor/response/", "line1/station7"


def plant(folder: Path, bundle: Path, port: int, more: str = "", **options: Any) -> Monitor:
    """Return a monitor that keeps its false alarms in a folder of the test."""
    place = f'[alerts]\nfalse_alarms = "{folder / "false.csv"}"\n'
    return Monitor(folder, bundle, port, place + more, **options)


def ask(other: Client, name: str, **content: Any) -> dict[str, Any]:
    """Send a request; return the answer to it."""
    topic = f"sensor-monitor/response/{name}"
    before = len(other.payloads(topic))
    other.publish(f"sensor-monitor/request/{name}", content)
    wait_until(lambda: len(other.payloads(topic)) > before, "an answer comes")
    answer: dict[str, Any] = other.payloads(topic)[-1]
    return answer


def hear(other: Client, begin: float, *rows: list[float]) -> None:
    """Let the group send readings."""
    other.publish(TOPIC, [reading(begin + 5 * number, row) for number, row in enumerate(rows)])


def told(other: Client) -> list[tuple[str, str]]:
    """Return the alert events, without those that a kill brought twice."""
    return list(dict.fromkeys((event["id"], event["status"]) for event in other.payloads(ALERTS)))


def state(other: Client) -> dict[str, Any]:
    """Return the group's newest state."""
    found: list[dict[str, Any]] = other.payloads(f"sensor-monitor/state/{GROUP}")
    return found[-1] if found else {}


def test_acknowledge(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """An acknowledgement names the incident, is in the retained state, and outlives a kill."""
    monitor = plant(tmp_path, toy_bundle, mosquitto.port)
    with client(mosquitto.port, "sensor-monitor/#") as other:
        with running(monitor):
            hear(other, 1000, FAULTY, FAULTY, FAULTY)
            wait_until(lambda: told(other), "it fires")
            (incident, _) = told(other)[0]
            assert ask(other, "acknowledge", group="line1/*") == {
                "status": "ok", "count": 1, "incidents": [incident],
            }  # fmt: skip
            monitor.kill()
        other.messages.clear()
        with running(monitor):
            wait_until(lambda: state(other).get("acknowledged"), "it still says so")
            assert state(other)["incident"] == incident
            hear(other, 1015, HEALTHY, HEALTHY, HEALTHY, HEALTHY, HEALTHY)
            wait_until(lambda: state(other)["incident"] is None, "the incident ends")
            assert state(other)["acknowledged"] is False


def test_silence_outlives_a_kill(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A muted group stays muted in the next process; ended early, what is open is told, and then resolved."""
    monitor = plant(tmp_path, toy_bundle, mosquitto.port)
    with client(mosquitto.port, "sensor-monitor/#") as other:
        with running(monitor):
            hear(other, 1000, HEALTHY, HEALTHY, HEALTHY)
            wait_until(lambda: state(other), "the group is known")
            assert ask(other, "silence", group=GROUP, minutes=30, transaction="a")["transaction"] == "a"
            monitor.kill()
        hear(other, 1015, FAULTY, FAULTY)
        with running(monitor):
            wait_until(lambda: state(other)["incident"], "an incident begins")
            monitor.kill()
        with running(monitor):
            wait_until(lambda: other.payloads("sensor-monitor/muted")[-1]["muted"], "it says what is muted")
            assert told(other) == []
            assert ask(other, "silence", group=GROUP, minutes=0) == {"status": "ok"}
            hear(other, 1025, *[HEALTHY] * 5)
            incident = f"{GROUP}:1015000"
            wait_until(lambda: len(told(other)) == 2, "both events come")
            assert told(other) == [(incident, "firing"), (incident, "resolved")]
            wait_until(
                lambda: other.payloads("sensor-monitor/muted")[-1] == {"muted": []}, "nothing is muted"
            )


def test_silence_ends_while_away(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A time that is over by the wall clock is over, also where the monitor was dead then."""
    monitor = plant(tmp_path, toy_bundle, mosquitto.port)
    with client(mosquitto.port, "sensor-monitor/#") as other:
        with running(monitor):
            hear(other, 1000, HEALTHY, HEALTHY, HEALTHY)
            wait_until(lambda: state(other), "the group is known")
            ask(other, "silence", group="*", minutes=0.001)
            monitor.kill()
        with running(monitor):
            hear(other, 1015, FAULTY)
            wait_until(lambda: told(other), "it fires")


def test_false_alarm(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A false alarm ends the incident and is a row to train with: one, also after a kill and asked twice."""
    monitor = plant(tmp_path, toy_bundle, mosquitto.port)
    with client(mosquitto.port, "sensor-monitor/#") as other:
        with running(monitor):
            hear(other, 1000, HEALTHY, HEALTHY, FAULTY)
            wait_until(lambda: told(other), "it fires")
            incident = told(other)[0][0]
            assert ask(other, "false-alarm", group=GROUP) == {"status": "ok", "incident": incident}
            wait_until(lambda: told(other) == [(incident, "firing"), (incident, "resolved")], "it ends")
            monitor.kill()
        with running(monitor):
            assert monitor.metric("alerts_firing") == 0
            assert ask(other, "false-alarm", incident=incident)["status"] == "ok"
    assert len((tmp_path / "false.csv").read_text().splitlines()) == 2
    assert windows_file.read(tmp_path / "false.csv", 5.0).windows.tolist() == [[HEALTHY, HEALTHY, FAULTY]]


@pytest.mark.parametrize("qos", [0, 1])
def test_false_alarm_that_is_over(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, qos: int) -> None:
    """An incident that ended by itself can be called a false alarm, after a kill and of a group set aside."""
    more = "[input]\nmax_groups = 1"
    monitor = plant(tmp_path, toy_bundle, mosquitto.port, more, mqtt=f"qos = {qos}")
    with client(mosquitto.port, "sensor-monitor/#") as other:
        with running(monitor):
            hear(other, 1000, FAULTY, FAULTY, FAULTY, *[HEALTHY] * 5)
            wait_until(lambda: len(told(other)) == 2, "it fires and ends")
            assert monitor.terminate() == 0 if qos == 0 else not monitor.kill()
        with running(monitor):
            other.publish("plant/line1/other/reading", reading(1000, HEALTHY))
            wait_until(lambda: monitor.metric("groups_set_aside_total") == 1, "it is set aside")
            incident = told(other)[0][0]
            assert ask(other, "false-alarm", group=GROUP) == {"status": "ok", "incident": incident}
    assert windows_file.read(tmp_path / "false.csv", 5.0).windows.tolist() == [[FAULTY] * 3]


@pytest.mark.parametrize("qos", [0, 1])
def test_killed_before_it_is_done(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, qos: int) -> None:
    """A request that the process died over comes again, is done and answered, whatever QoS readings have."""
    monitor = plant(tmp_path, toy_bundle, mosquitto.port, mqtt=f"qos = {qos}")
    with client(mosquitto.port, "sensor-monitor/#") as other:
        with running(monitor):
            hear(other, 1000, HEALTHY, HEALTHY, HEALTHY)
            wait_until(lambda: state(other), "the group is known")
            assert monitor.terminate() == 0
        with running(monitor):
            assert monitor.process is not None
            monitor.process.send_signal(signal.SIGSTOP)
            other.publish(
                "sensor-monitor/request/silence", {"group": GROUP, "minutes": 600, "transaction": 1}
            )
            monitor.kill()
        with running(monitor):
            wait_until(
                lambda: other.payloads("sensor-monitor/response/silence"),
                "the answer comes",
            )
            answer = other.payloads("sensor-monitor/response/silence")[0]
            assert (answer["status"], answer["transaction"]) == ("ok", 1)


def test_killed_before_it_is_permanent(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A request that was done and couldn't be stored isn't answered: it comes again with the next process."""
    monitor = plant(tmp_path, toy_bundle, mosquitto.port)
    with client(mosquitto.port, "sensor-monitor/#") as other:
        with running(monitor):
            hear(other, 1000, HEALTHY, HEALTHY, FAULTY)
            wait_until(lambda: told(other), "it fires")
            assert monitor.process is not None
            resource.prlimit(monitor.process.pid, resource.RLIMIT_FSIZE, (8192, 8192))
            other.publish("sensor-monitor/request/false-alarm", {"group": GROUP})
            wait_until(lambda: monitor.metric("store_failures_total") > 0, "the store can't be written")
            assert len((tmp_path / "false.csv").read_text().splitlines()) == 2
            assert other.payloads(ANSWERS) == []
            monitor.kill()
        with running(monitor):
            wait_until(lambda: other.payloads(ANSWERS), "it is answered")
            assert other.payloads(ANSWERS) == [{"status": "ok", "incident": told(other)[0][0]}]
            wait_until(lambda: len(told(other)) == 2, "the incident ends")
    assert len((tmp_path / "false.csv").read_text().splitlines()) == 2


def test_bad_requests(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """What can't be done is answered with an error and logged, without a raw byte; it changes nothing."""
    monitor = plant(tmp_path, toy_bundle, mosquitto.port)
    wild = "\x1b[31mline1/\nstation7\u202e"
    with client(mosquitto.port, "sensor-monitor/#") as other, running(monitor):
        hear(other, 1000, FAULTY, FAULTY, FAULTY)
        wait_until(lambda: state(other).get("incident"), "it fires")
        before = state(other)
        for number, (name, payload) in enumerate(
            [
                ("silence", {"group": wild, "minutes": 5}),
                ("silence", {"group": GROUP, "minutes": "5"}),
                ("silence", {"group": GROUP, "minutes": 5, wild: 1}),
                ("acknowledge", {"group": "nobody/*"}),
                ("acknowledge", {"incident": f"{GROUP}:7"}),
                ("false-alarm", {"group": wild}),
                ("false-alarm", {"group": "line1/*"}),
                ("false-alarm", {"group": GROUP, "transaction": "x" * 1_000_000}),
            ]
        ):
            other.publish(f"sensor-monitor/request/{name}", payload)
            wait_until(lambda n=number: len(other.payloads(ANSWERS)) > n, f"{payload} is answered")  # type: ignore[misc]
            assert other.payloads(ANSWERS)[-1]["status"] == "error", payload
        ask(other, "silence", group="*\x1b[31m*\u202e*?*", minutes=1)
        ask(other, "silence", group="*[!\x1b\n]*", minutes=1)
        assert state(other) == before
        assert not (tmp_path / "false.csv").exists()
        assert not {"\x1b", "\u202e"} & set(monitor.log())
        assert "are muted until" in monitor.log()
        for name, reason in {
            "acknowledge": "there is no group 'nobody/*', and none that fits it",
            "silence": "the request can't be used: Expected `float`, got `str` - at `$.minutes`",
        }.items():
            assert f"request '{name}' is refused: {reason}\n" in monitor.log()


def test_retained_request(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A request that the broker would bring with each connection is refused, at once and later."""
    topic, answers = "sensor-monitor/request/silence", "sensor-monitor/response/silence"
    with client(mosquitto.port, "sensor-monitor/#") as other:
        other.publish(topic, {"group": "*", "minutes": 5}, retain=True)
        with running(plant(tmp_path, toy_bundle, mosquitto.port)) as monitor:
            wait_until(lambda: other.payloads(answers), "an answer comes")
            other.publish(topic, {"group": "*", "minutes": 5}, retain=True)
            other.publish(topic, b"", retain=True)
            wait_until(lambda: f"{topic}: nothing is retained there any more" in monitor.log(), "it is over")
            assert ["is retained" in told["error"] for told in other.payloads(answers)] == [True, True]


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
@pytest.mark.parametrize("monitors", ["5", "3.1.1"])
def test_where_the_answer_goes(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: MQTTProtocolVersion, monitors: str
) -> None:
    """With MQTT 5 at both ends an answer goes where the asker says, with its correlation."""
    monitor = plant(tmp_path, toy_bundle, mosquitto.port, mqtt=f'version = "{monitors}"')
    asker = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
    came: list[paho.MQTTMessage] = []
    asker.on_message = lambda _, __, message: came.append(message)
    properties = None
    if version == MQTTProtocolVersion.MQTTv5:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic, properties.CorrelationData = "panel/answers", b"\x00\x01"
    with running(monitor):
        asker.connect("127.0.0.1", mosquitto.port)
        asker.loop_start()
        asker.subscribe([("panel/answers", 1), ("sensor-monitor/response/#", 1)])
        asker.publish(
            "sensor-monitor/request/acknowledge",
            b'{"group":"nobody","transaction":3}', qos=1, properties=properties,
        )  # fmt: skip
        wait_until(lambda: came, "the answer comes")
        asker.disconnect()
        asker.loop_stop()
    both = version == MQTTProtocolVersion.MQTTv5 and monitors == "5"
    assert came[0].topic == ("panel/answers" if both else "sensor-monitor/response/acknowledge")
    assert getattr(came[0].properties, "CorrelationData", None) == (b"\x00\x01" if both else None)
    assert json.loads(came[0].payload)["transaction"] == 3


def test_answer_that_no_broker_takes(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A response topic for which the broker would hang up counts as none; a name beyond all reason is cut."""
    requests = "sensor-monitor/request/"
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = "a/" * 300
    asker = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    came: list[str] = []
    asker.on_message = lambda _, __, message: came.append(message.topic)
    with running(plant(tmp_path, toy_bundle, mosquitto.port)) as monitor:
        asker.connect("127.0.0.1", mosquitto.port)
        asker.loop_start()
        asker.subscribe("sensor-monitor/response/#", 1)
        asker.publish(f"{requests}acknowledge", b"{}", qos=1, properties=properties)
        asker.publish(requests + "x" * (65_535 - len(requests)), b"{}", qos=1)
        wait_until(lambda: len(came) >= 2, "both are answered")
        asker.disconnect()
        asker.loop_stop()
        assert monitor.metric("mqtt_reconnects_total") == 0
    assert came == ["sensor-monitor/response/acknowledge", "sensor-monitor/response/" + "x" * 100]
