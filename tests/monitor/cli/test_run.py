import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BrokerFactory, Mosquitto, wait_until
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES, save_toy_bundle

TOPIC = "plant/line1/station7/reading"


def reading(ts: float, values: list[float]) -> dict[str, float]:
    """Return the payload of a reading as a plant sends it."""
    return {"ts": ts, **dict(zip(NAMES, values, strict=True))}


def test_incident_end_to_end(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A fault that ends is one firing and one resolved event, and the state is normal at the end."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    values_sequence = [HEALTHY] * 4 + [FAULTY] * 2 + [HEALTHY] * 6
    with connect_client(mosquitto.port, "sensor-monitor/#") as other, run_monitor(monitor):
        for number, values in enumerate(values_sequence):
            other.publish(TOPIC, reading(1000 + 5 * number, values))
        wait_until(lambda: len(other.payloads("sensor-monitor/alerts/")) == 2, "both events arrive")
        firing, resolved = other.payloads("sensor-monitor/alerts/line1/station7")
        assert firing == {
            "schema": 1,
            "id": "line1/station7:1020000",
            "status": "firing",
            "repeat": 0,
            "group": "line1/station7",
            "label": "Faulty",
            "score": pytest.approx(1.0, abs=1e-3),
            "threshold": 0.5,
            "started_at": "1970-01-01T00:17:00.000Z",
            "ended_at": None,
            "window": {"ts": [1010.0, 1015.0, 1020.0], "values": [HEALTHY, HEALTHY, FAULTY]},
            "contributions": {name: float(name == "temperature_2") for name in NAMES},
            "contributions_by_step": [[0.0] * 4, [0.0] * 4, [0.0, 0.0, 1.0, 0.0]],
            "reason": "temperature_2 reads 30 degC, its neighbour temperature_1 20",
            "out_of_range": False,
            "detector": "model",
            "kind": None,
            "bundle": other.payloads("sensor-monitor/info")[0]["bundle"],
        }
        assert (resolved["id"], resolved["status"]) == (firing["id"], "resolved")
        assert resolved["ended_at"] == "1970-01-01T00:17:20.000Z"
        assert (resolved["contributions"], resolved["reason"]) == (None, None)
        wait_until(lambda: monitor.outcomes() == {"filling": 2, "judged": 10}, "all are counted")
        monitor.wait_for_metric(10, "reading_latency_seconds_count")  # of a batch it is counted last
        assert monitor.metric("predictions_total", label="Faulty") == 4
        assert monitor.metric("predictions_total", label="Normal") == 6
        assert monitor.metric("alerts_total", status="firing") == 1
        assert monitor.metric("alerts_total", status="resolved") == 1
        assert monitor.metric("alerts_firing") == 0
        assert monitor.metric("groups", state="normal") == 1
        monitor.wait_for_metric(2, "alert_delivery_seconds_count")

        def latest_state() -> tuple[str, str | None]:
            state = other.payloads("sensor-monitor/state/line1/station7")[-1]
            return state["state"], state["incident"]

        # A state that changes and changes back within a batch is not published, so only the last is certain.
        wait_until(lambda: latest_state() == ("normal", None), "the last state is normal")
        assert monitor.terminate() == 0
        wait_until(
            lambda: other.texts("sensor-monitor/status") == ["online", "offline"], "the status is offline"
        )


def test_rules_for_some_groups(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Incidents are repeated only in groups whose own rules require it."""
    rules = '[[alerts.rules]]\ngroups = "line1/*"\nraise_after = 2\nrenotify_after = 10'
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, rules)
    with connect_client(mosquitto.port, "sensor-monitor/#") as other, run_monitor(monitor):
        for number, values in enumerate([HEALTHY] * 2 + [FAULTY] * 6):
            for line in (1, 2):
                other.publish(f"plant/line{line}/a/reading", reading(1000 + 5 * number, values))
        wait_until(lambda: len(other.payloads("sensor-monitor/alerts/")) >= 4, "the events arrive")
        assert monitor.terminate() == 0
        events = [
            (event["id"], event["window"]["ts"][-1], event["repeat"])
            for event in sorted(other.payloads("sensor-monitor/alerts/"), key=lambda event: event["group"])
        ]
        assert events == [
            ("line1/a:1010000", 1015, 0),
            ("line1/a:1010000", 1025, 1),
            ("line1/a:1010000", 1035, 2),
            ("line2/a:1010000", 1010, 0),
        ]


def test_retained_state(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A later subscriber receives state, status, mutes and info, which are retained; alerts are not."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/state/#") as early, run_monitor(monitor):
        for number, values in enumerate([HEALTHY, HEALTHY, FAULTY]):
            early.publish(TOPIC, reading(1000 + 5 * number, values))
        wait_until(
            lambda: [state["state"] for state in early.payloads("sensor-monitor/state/")][-1:] == ["faulty"],
            "the broker has the state",
        )
        with connect_client(mosquitto.port, "sensor-monitor/#") as late:
            wait_until(lambda: len(late.messages) >= 4, "the retained messages arrive")
            assert all(retained for _, _, retained in late.messages)
            assert late.texts("sensor-monitor/status") == ["online"]
            (state,) = late.payloads("sensor-monitor/state/line1/station7")
            assert state == {
                "group": "line1/station7",
                "state": "faulty",
                "since": "1970-01-01T00:16:50.000Z",
                "score": pytest.approx(1.0, abs=1e-3),
                "out_of_range": False,
                "detector": "model",
                "incident": "line1/station7:1010000",
                "kind": None,
                "acknowledged": False,
                "shows_from": None,
            }
            assert late.payloads("sensor-monitor/muted") == [{"muted": []}]
            (info,) = late.payloads("sensor-monitor/info")
            assert set(info) == {"version", "bundle", "topics", "started_at", "client_id_sha256", "instance"}


def test_broker_without_retained_states(tmp_path: Path, new_broker: BrokerFactory, toy_bundle: Path) -> None:
    """After a broker has lost its retained messages, every group's state is published again."""
    broker = new_broker()
    broker.start()
    monitor = Monitor(tmp_path, toy_bundle, broker.port)
    with connect_client(broker.port) as other, run_monitor(monitor):
        for group in ("a", "b"):
            other.publish(f"plant/line1/{group}/reading", reading(1000, HEALTHY))
        wait_until(lambda: monitor.metric("groups", state="filling") == 2, "both are known")
        broker.stop()
        wait_until(lambda: monitor.metric("mqtt_connected") == 0, "the break is noticed")
        broker.start()
        with connect_client(broker.port, "sensor-monitor/state/#") as late:
            # A state arrives twice if the broker stopped before it had confirmed it.
            wait_until(
                lambda: {topic[-1] for topic, _, _ in late.messages} == {"a", "b"}, "both are published"
            )


def test_outcomes(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Each reading, also as an element of an array, is counted under exactly one outcome."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, "[windows]\nstride = 2")
    good = reading(1000, HEALTHY)
    payloads: list[Any] = [
        *(reading(1000 + 5 * number, HEALTHY) for number in range(5)),  # filling 2, judged 2, skipped 1
        reading(1020, HEALTHY),  # duplicate
        reading(1015, HEALTHY),  # late
        reading(4e9, HEALTHY),  # future
        reading(1100, HEALTHY),  # gap
        b"no JSON",
        {name: value for name, value in good.items() if name != "humidity_2"},
        {**good, "humidity_2": "50"},
        {**good, "humidity_2": None},
        {**good, "humidity_2": 1e300},
        {**good, "ts": "1105"},
        [reading(1105, HEALTHY), {"ts": 1110}, reading(1110, HEALTHY)],  # filling, malformed, judged
    ]
    with connect_client(mosquitto.port) as other, run_monitor(monitor):
        for payload in payloads:
            other.publish(TOPIC, payload)
        other.publish("plant/line1/reading", good)  # not subscribed to, so it never arrives
        expected = {
            "filling": 3,
            "judged": 3,
            "skipped": 1,
            "duplicate": 1,
            "late": 1,
            "future": 1,
            "gap": 1,
            "malformed": 7,
        }
        wait_until(lambda: monitor.outcomes() == expected, f"the outcomes are {expected}")
        for reason in ("a number in quotes?", "ts is '1105', a number in quotes", "missing required field"):
            monitor.wait_for_log(reason)


def test_input_fields(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Values are found by dotted path, and readings without ts get their time of arrival."""
    fields = '[input.fields]\ntemperature_1 = "data.t1"\ntemperature_2 = "data.t2"\n'
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, fields)
    payload = {"data": {"t1": 20.0, "t2": 30.0}, "humidity_1": 50, "humidity_2": 50}
    with connect_client(mosquitto.port, "sensor-monitor/alerts/#") as other, run_monitor(monitor):
        for _ in range(3):
            other.publish(TOPIC, payload)
        wait_until(lambda: other.messages, "the alert arrives")
        (event,) = other.payloads("sensor-monitor/alerts/line1/station7")
        assert event["window"]["values"] == [FAULTY] * 3
        first, second, third = event["window"]["ts"]
        assert first < second < third


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_readings_sent_while_stopped_are_judged(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, version: str
) -> None:
    """The broker keeps readings while the monitor is stopped; they are judged after its next start."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, mqtt_toml=f'version = "{version}"')
    with connect_client(mosquitto.port) as other:
        with run_monitor(monitor):
            assert monitor.terminate() == 0
        for number in range(5):
            other.publish(TOPIC, reading(1000 + 5 * number, HEALTHY))
        with run_monitor(monitor):
            wait_until(lambda: monitor.outcomes() == {"filling": 2, "judged": 3}, "all are judged")


def test_every_window(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """In mode every_window each Faulty window is an event with its incident's id; no others occur."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, '[alerts]\nmode = "every_window"')
    values_sequence = [HEALTHY] * 3 + [FAULTY] * 2 + [HEALTHY] * 4 + [FAULTY]
    with connect_client(mosquitto.port, "sensor-monitor/alerts/#") as other, run_monitor(monitor):
        for number, values in enumerate(values_sequence):
            other.publish(TOPIC, reading(1000 + 5 * number, values))
        wait_until(lambda: len(other.messages) == 5, "five events arrive")
        events = other.payloads("sensor-monitor/alerts/")
        assert [event["id"] for event in events] == ["line1/station7:1015000"] * 4 + [
            "line1/station7:1045000"
        ]
        assert {event["status"] for event in events} == {"firing"}


def test_silence(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A group without readings becomes silent with its incident open, and then any earlier ts is accepted."""
    save_toy_bundle(tmp_path / "bundle", sample_period=0.1)
    monitor = Monitor(tmp_path, tmp_path / "bundle", mosquitto.port, "[windows]\nstale_after = 0.3")
    with connect_client(mosquitto.port, "sensor-monitor/state/#") as other, run_monitor(monitor):
        other.publish(TOPIC, [reading(2000 + 0.1 * number, FAULTY) for number in range(3)])
        wait_until(lambda: monitor.metric("groups", state="silent") == 1, "it becomes silent")
        assert monitor.metric("alerts_firing") == 1
        wait_until(lambda: len(other.messages) == 2, "the states arrive")
        faulty, silent = other.payloads("sensor-monitor/state/")
        assert (faulty["state"], silent["state"]) == ("faulty", "silent")
        assert silent["since"] == "1970-01-01T00:33:20.200Z"
        assert silent["incident"] == faulty["incident"] is not None
        other.publish(TOPIC, reading(100, HEALTHY))
        wait_until(lambda: monitor.outcomes() == {"filling": 3, "judged": 1}, "an earlier ts is accepted")


def test_waits_for_the_broker(tmp_path: Path, new_broker: BrokerFactory, toy_bundle: Path) -> None:
    """Without a broker the monitor is live but not ready, with the reason; it connects once there is one."""
    broker = new_broker()
    monitor = Monitor(tmp_path, toy_bundle, broker.port)
    try:
        monitor.start()
        wait_until(lambda: "no connection" in monitor.get("/readyz")[1], "/readyz has the reason")
        assert monitor.get("/readyz")[0] == 503
        assert monitor.get("/livez") == (200, "ok\n")
        assert monitor.metric("mqtt_connected") == 0
        broker.start()
        wait_until(lambda: monitor.get("/readyz")[0] == 200, "it is ready")
        monitor.wait_for_metric(1, "mqtt_connected")
        broker.stop()
        wait_until(lambda: monitor.get("/readyz")[0] == 503, "it notices that the broker has stopped")
        assert monitor.terminate() == 0
    finally:
        monitor.kill()


def test_wrong_password(tmp_path: Path, new_broker: BrokerFactory, toy_bundle: Path) -> None:
    """A refused login is logged once, without the password; the monitor goes on running."""
    (tmp_path / "passwords").write_text("")
    (tmp_path / "secret").write_text("geheim\n")
    broker = new_broker("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    broker.start()
    login = f'username = "monitor"\npassword_file = "{tmp_path / "secret"}"'
    monitor = Monitor(tmp_path, toy_bundle, broker.port, mqtt_toml=login)
    try:
        monitor.start()
        wait_until(lambda: "Not authorized" in monitor.get("/readyz")[1], "/readyz has the reason")
        monitor.wait_for_log("Not authorized")
        seen = monitor.get("/metrics")[1] + monitor.get("/")[1] + monitor.get("/readyz")[1]
        assert monitor.terminate() == 0
        assert "geheim" not in seen + monitor.log()
        assert monitor.log().count("Not authorized") == 1
    finally:
        monitor.kill()


def test_json_log(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """With format "json" each line of the log is a JSON object."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, '[log]\nformat = "json"')
    monitor.start()
    monitor.terminate()
    lines = [json.loads(line) for line in monitor.log().splitlines()]
    assert {"ts", "level", "logger", "message"} <= set(lines[0])
