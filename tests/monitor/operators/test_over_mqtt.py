"""Requests over MQTT, with real brokers and real processes that are killed."""

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
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY
from tests.support.training_features import FEATURE_NAMES
from training.data import recordings

ALERTS, RESPONSES, GROUP = "sensor-monitor/alerts/", "sensor-monitor/response/", "line1/station7"


def make_monitor(folder: Path, bundle: Path, port: int, extra: str = "", **options: Any) -> Monitor:
    """Return a monitor that keeps its false alarms in a folder of the test."""
    false_alarms_setting = f'[alerts]\nfalse_alarms = "{folder / "false.csv"}"\n'
    return Monitor(folder, bundle, port, false_alarms_setting + extra, **options)


def send_request(mqtt_client: Client, name: str, **content: Any) -> dict[str, Any]:
    """Send a request; return the answer to it."""
    topic = f"sensor-monitor/response/{name}"
    before = len(mqtt_client.payloads(topic))
    mqtt_client.publish(f"sensor-monitor/request/{name}", content)
    wait_until(lambda: len(mqtt_client.payloads(topic)) > before, "an answer comes")
    response: dict[str, Any] = mqtt_client.payloads(topic)[-1]
    return response


def send_readings(mqtt_client: Client, begin: float, *rows: list[float]) -> None:
    """Publish readings of the group."""
    mqtt_client.publish(TOPIC, [reading(begin + 5 * number, row) for number, row in enumerate(rows)])


def alert_events(mqtt_client: Client) -> list[tuple[str, str]]:
    """Return the alert events, without those that were delivered twice because of a kill."""
    return list(dict.fromkeys((event["id"], event["status"]) for event in mqtt_client.payloads(ALERTS)))


def latest_state(mqtt_client: Client) -> dict[str, Any]:
    """Return the group's newest state."""
    found: list[dict[str, Any]] = mqtt_client.payloads(f"sensor-monitor/state/{GROUP}")
    return found[-1] if found else {}


def test_acknowledge(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """An acknowledgement names the incident, is in the retained state, and survives a kill."""
    monitor = make_monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client:
        with run_monitor(monitor):
            send_readings(mqtt_client, 1000, FAULTY, FAULTY, FAULTY)
            wait_until(lambda: alert_events(mqtt_client), "it fires")
            (incident, _) = alert_events(mqtt_client)[0]
            assert send_request(mqtt_client, "acknowledge", group="line1/*") == {
                "status": "ok", "count": 1, "incidents": [incident],
            }  # fmt: skip
            monitor.kill()
        mqtt_client.messages.clear()
        with run_monitor(monitor):
            wait_until(lambda: latest_state(mqtt_client).get("acknowledged"), "it still says so")
            assert latest_state(mqtt_client)["incident"] == incident
            send_readings(mqtt_client, 1015, HEALTHY, HEALTHY, HEALTHY, HEALTHY, HEALTHY)
            wait_until(lambda: latest_state(mqtt_client)["incident"] is None, "the incident ends")
            assert latest_state(mqtt_client)["acknowledged"] is False


def test_silence_outlives_a_kill(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A group stays muted in the next process; unmuted, its open incident is published, then its end."""
    monitor = make_monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client:
        with run_monitor(monitor):
            send_readings(mqtt_client, 1000, HEALTHY, HEALTHY, HEALTHY)
            wait_until(lambda: latest_state(mqtt_client), "the group is known")
            assert (
                send_request(mqtt_client, "silence", group=GROUP, minutes=30, transaction="a")["transaction"]
                == "a"
            )
            monitor.kill()
        send_readings(mqtt_client, 1015, FAULTY, FAULTY)
        with run_monitor(monitor):
            wait_until(lambda: latest_state(mqtt_client)["incident"], "an incident begins")
            monitor.kill()
        with run_monitor(monitor):
            wait_until(
                lambda: mqtt_client.payloads("sensor-monitor/muted")[-1]["muted"], "it says what is muted"
            )
            assert alert_events(mqtt_client) == []
            assert send_request(mqtt_client, "silence", group=GROUP, minutes=0) == {"status": "ok"}
            send_readings(mqtt_client, 1025, *[HEALTHY] * 5)
            incident = f"{GROUP}:1015000"
            wait_until(lambda: len(alert_events(mqtt_client)) == 2, "both events come")
            assert alert_events(mqtt_client) == [(incident, "firing"), (incident, "resolved")]
            wait_until(
                lambda: mqtt_client.payloads("sensor-monitor/muted")[-1] == {"muted": []}, "nothing is muted"
            )


def test_silence_expires_while_stopped(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A mute ends by the wall clock, also while no monitor runs."""
    monitor = make_monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client:
        with run_monitor(monitor):
            send_readings(mqtt_client, 1000, HEALTHY, HEALTHY, HEALTHY)
            wait_until(lambda: latest_state(mqtt_client), "the group is known")
            send_request(mqtt_client, "silence", group="*", minutes=0.001)
            monitor.kill()
        with run_monitor(monitor):
            send_readings(mqtt_client, 1015, FAULTY)
            wait_until(lambda: alert_events(mqtt_client), "it fires")


def _read_values(path: Path) -> list[list[float]]:
    """Return the readings in the file of false alarms."""
    frame = recordings.read_labelled(path, FEATURE_NAMES)
    values: list[list[float]] = frame[FEATURE_NAMES].to_numpy().tolist()
    return values


def test_false_alarm(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A false alarm ends the incident and writes its readings once, also after a kill and when repeated."""
    monitor = make_monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client:
        with run_monitor(monitor):
            send_readings(mqtt_client, 1000, HEALTHY, HEALTHY, FAULTY)
            wait_until(lambda: alert_events(mqtt_client), "it fires")
            incident = alert_events(mqtt_client)[0][0]
            assert send_request(mqtt_client, "false-alarm", group=GROUP) == {
                "status": "ok",
                "incident": incident,
            }
            wait_until(
                lambda: alert_events(mqtt_client) == [(incident, "firing"), (incident, "resolved")], "it ends"
            )
            monitor.kill()
        with run_monitor(monitor):
            assert monitor.metric("alerts_firing") == 0
            assert send_request(mqtt_client, "false-alarm", incident=incident)["status"] == "ok"
    assert _read_values(tmp_path / "false.csv") == [HEALTHY, HEALTHY, FAULTY]


@pytest.mark.parametrize("qos", [0, 1])
def test_false_alarm_of_ended_incident(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, qos: int
) -> None:
    """An ended incident can be called a false alarm, after a kill and of an evicted group."""
    extra = "[input]\nmax_groups = 1"
    monitor = make_monitor(tmp_path, toy_bundle, mosquitto.port, extra, mqtt_toml=f"qos = {qos}")
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client:
        with run_monitor(monitor):
            send_readings(mqtt_client, 1000, FAULTY, FAULTY, FAULTY, *[HEALTHY] * 5)
            wait_until(lambda: len(alert_events(mqtt_client)) == 2, "it fires and ends")
            assert monitor.terminate() == 0 if qos == 0 else not monitor.kill()
        with run_monitor(monitor):
            mqtt_client.publish("plant/line1/other/reading", reading(1000, HEALTHY))
            wait_until(lambda: monitor.metric("groups_set_aside_total") == 1, "it is set aside")
            incident = alert_events(mqtt_client)[0][0]
            assert send_request(mqtt_client, "false-alarm", group=GROUP) == {
                "status": "ok",
                "incident": incident,
            }
    assert _read_values(tmp_path / "false.csv") == [FAULTY] * 3


@pytest.mark.parametrize("qos", [0, 1])
def test_killed_before_it_is_done(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, qos: int) -> None:
    """If a process is killed before the response, the next process executes the request, at each QoS."""
    monitor = make_monitor(tmp_path, toy_bundle, mosquitto.port, mqtt_toml=f"qos = {qos}")
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client:
        with run_monitor(monitor):
            send_readings(mqtt_client, 1000, HEALTHY, HEALTHY, HEALTHY)
            wait_until(lambda: latest_state(mqtt_client), "the group is known")
            assert monitor.terminate() == 0
        with run_monitor(monitor):
            assert monitor.process is not None
            monitor.process.send_signal(signal.SIGSTOP)
            mqtt_client.publish(
                "sensor-monitor/request/silence", {"group": GROUP, "minutes": 600, "transaction": 1}
            )
            monitor.kill()
        with run_monitor(monitor):
            wait_until(
                lambda: mqtt_client.payloads("sensor-monitor/response/silence"),
                "the answer comes",
            )
            response = mqtt_client.payloads("sensor-monitor/response/silence")[0]
            assert (response["status"], response["transaction"]) == ("ok", 1)


def test_killed_before_it_is_permanent(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A request whose effect couldn't be stored isn't answered: the next process gets it again."""
    monitor = make_monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client:
        with run_monitor(monitor):
            send_readings(mqtt_client, 1000, HEALTHY, HEALTHY, FAULTY)
            wait_until(lambda: alert_events(mqtt_client), "it fires")
            assert monitor.process is not None
            resource.prlimit(monitor.process.pid, resource.RLIMIT_FSIZE, (8192, 8192))
            mqtt_client.publish("sensor-monitor/request/false-alarm", {"group": GROUP})
            wait_until(lambda: monitor.metric("store_failures_total") > 0, "the store can't be written")
            assert _read_values(tmp_path / "false.csv") == [HEALTHY, HEALTHY, FAULTY]
            assert mqtt_client.payloads(RESPONSES) == []
            monitor.kill()
        with run_monitor(monitor):
            wait_until(lambda: mqtt_client.payloads(RESPONSES), "it is answered")
            assert mqtt_client.payloads(RESPONSES) == [
                {"status": "ok", "incident": alert_events(mqtt_client)[0][0]}
            ]
            wait_until(lambda: len(alert_events(mqtt_client)) == 2, "the incident ends")
    assert _read_values(tmp_path / "false.csv") == [HEALTHY, HEALTHY, FAULTY]


def test_bad_requests(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A request that can't be executed is answered with an error, is logged escaped, and changes nothing."""
    monitor = make_monitor(tmp_path, toy_bundle, mosquitto.port)
    special_name = "\x1b[31mline1/\nstation7\u202e"
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client, run_monitor(monitor):
        send_readings(mqtt_client, 1000, FAULTY, FAULTY, FAULTY)
        wait_until(lambda: latest_state(mqtt_client).get("incident"), "it fires")
        before = latest_state(mqtt_client)
        for number, (name, payload) in enumerate(
            [
                ("silence", {"group": special_name, "minutes": 5}),
                ("silence", {"group": GROUP, "minutes": "5"}),
                ("silence", {"group": GROUP, "minutes": 5, special_name: 1}),
                ("acknowledge", {"group": "nobody/*"}),
                ("acknowledge", {"incident": f"{GROUP}:7"}),
                ("false-alarm", {"group": special_name}),
                ("false-alarm", {"group": "line1/*"}),
                ("false-alarm", {"group": GROUP, "transaction": "x" * 1_000_000}),
            ]
        ):
            mqtt_client.publish(f"sensor-monitor/request/{name}", payload)
            wait_until(lambda n=number: len(mqtt_client.payloads(RESPONSES)) > n, f"{payload} is answered")  # type: ignore[misc]
            assert mqtt_client.payloads(RESPONSES)[-1]["status"] == "error", payload
        send_request(mqtt_client, "silence", group="*\x1b[31m*\u202e*?*", minutes=1)
        send_request(mqtt_client, "silence", group="line1/*", minutes=1)
        assert latest_state(mqtt_client) == before
        assert not (tmp_path / "false.csv").exists()
        monitor.wait_for_log("are muted until")
        for name, reason in {
            "acknowledge": "there is no group 'nobody/*', and none that fits it",
            "silence": "the request can't be used: Expected `float`, got `str` - at `$.minutes`",
        }.items():
            monitor.wait_for_log(f"request '{name}' is refused: {reason}\n")
        assert not {"\x1b", "\u202e"} & set(monitor.log())


def test_retained_request(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A retained request, which comes with each connection, is refused each time."""
    topic, response_topic = "sensor-monitor/request/silence", "sensor-monitor/response/silence"
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client:
        mqtt_client.publish(topic, {"group": "*", "minutes": 5}, retain=True)
        with run_monitor(make_monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor:
            wait_until(lambda: mqtt_client.payloads(response_topic), "an answer comes")
            mqtt_client.publish(topic, {"group": "*", "minutes": 5}, retain=True)
            mqtt_client.publish(topic, b"", retain=True)
            monitor.wait_for_log(f"{topic}: the retained request was deleted")
            wait_until(lambda: len(mqtt_client.payloads(response_topic)) == 2, "the other is answered, too")
            responses = mqtt_client.payloads(response_topic)
            assert ["is retained" in response["error"] for response in responses] == [True, True]


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
@pytest.mark.parametrize("monitor_version", ["5", "3.1.1"])
def test_response_topic(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: MQTTProtocolVersion, monitor_version: str
) -> None:
    """With MQTT 5 at both ends the answer goes to the response topic, with the correlation data."""
    response_topic = "sensor-monitor/response/panel/7"
    monitor = make_monitor(tmp_path, toy_bundle, mosquitto.port, mqtt_toml=f'version = "{monitor_version}"')
    requester = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
    received: list[paho.MQTTMessage] = []
    requester.on_message = lambda _, __, message: received.append(message)
    properties = None
    if version == MQTTProtocolVersion.MQTTv5:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic, properties.CorrelationData = response_topic, b"\x00\x01"
    with run_monitor(monitor):
        requester.connect("127.0.0.1", mosquitto.port)
        requester.loop_start()
        requester.subscribe("sensor-monitor/response/#", 1)
        requester.publish(
            "sensor-monitor/request/acknowledge",
            b'{"group":"nobody","transaction":3}', qos=1, properties=properties,
        )  # fmt: skip
        wait_until(lambda: received, "the answer comes")
        requester.disconnect()
        requester.loop_stop()
    both_mqtt5 = version == MQTTProtocolVersion.MQTTv5 and monitor_version == "5"
    assert received[0].topic == (response_topic if both_mqtt5 else "sensor-monitor/response/acknowledge")
    assert getattr(received[0].properties, "CorrelationData", None) == (b"\x00\x01" if both_mqtt5 else None)
    assert json.loads(received[0].payload)["transaction"] == 3


def test_invalid_response_topic(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A request whose response topic the broker would refuse is answered as without; a long name is cut."""
    request_prefix = "sensor-monitor/request/"
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = "a/" * 300
    requester = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    received: list[str] = []
    requester.on_message = lambda _, __, message: received.append(message.topic)
    with run_monitor(make_monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor:
        requester.connect("127.0.0.1", mosquitto.port)
        requester.loop_start()
        requester.subscribe("sensor-monitor/response/#", 1)
        requester.publish(f"{request_prefix}acknowledge", b"{}", qos=1, properties=properties)
        requester.publish(request_prefix + "x" * (65_535 - len(request_prefix)), b"{}", qos=1)
        wait_until(lambda: len(received) >= 2, "both are answered")
        requester.disconnect()
        requester.loop_stop()
        assert monitor.metric("mqtt_reconnects_total") == 0
    assert received == ["sensor-monitor/response/acknowledge", "sensor-monitor/response/" + "x" * 100]
