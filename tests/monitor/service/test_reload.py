import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Mosquitto, free_port, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, save_toy_bundle

ALERTS = "sensor-monitor/alerts/"
RESPONSE = "sensor-monitor/response/reload"


def send_sighup(monitor: Monitor) -> None:
    """Send SIGHUP."""
    assert monitor.process is not None
    monitor.process.send_signal(signal.SIGHUP)


def test_reload_loses_no_window(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A new bundle and alert settings are used from the next reading on; windows and incidents continue."""
    bundle = tmp_path / "bundle"
    save_toy_bundle(bundle)
    monitor = Monitor(tmp_path, bundle, mosquitto.port, "[alerts]\nclear_after = 3")
    with connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client, run_monitor(monitor):
        mqtt_client.publish(TOPIC, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
        wait_until(lambda: mqtt_client.payloads(ALERTS), "it fires")
        save_toy_bundle(bundle, id="0123456789abcdef")
        monitor.configure("[alerts]\nclear_after = 1")
        send_sighup(monitor)
        wait_until(lambda: "reloaded: bundle 0123456789abcdef" in monitor.log(), "it says so")
        mqtt_client.publish(TOPIC, [reading(1015 + 5 * number, HEALTHY) for number in range(3)])
        wait_until(lambda: len(mqtt_client.payloads(ALERTS)) == 2, "it is resolved after one Normal window")
        firing, resolved = mqtt_client.payloads(ALERTS)
        assert firing["id"] == resolved["id"]
        assert resolved["bundle"] == "0123456789abcdef"
        wait_until(lambda: monitor.outcomes() == {"filling": 2, "judged": 4}, "all are counted")
        assert "0123456789abcdef" in monitor.get("/metrics")[1]
        assert monitor.get("/metrics")[1].count("bundle_info{") == 1
        wait_until(
            lambda: mqtt_client.payloads("sensor-monitor/info")[-1]["bundle"] == "0123456789abcdef",
            "the retained info names it",
        )


def break_bundle(bundle: Path, _: Monitor) -> None:
    """Change a byte."""
    (bundle / "model.onnx").write_bytes(b"x")


def change_unreloadable_setting(_: Path, monitor: Monitor) -> None:
    """Change a setting that needs a restart."""
    monitor.configure('[log]\nlevel = "debug"')


def write_invalid_settings(_: Path, monitor: Monitor) -> None:
    """Write an invalid setting."""
    monitor.configure("[alerts]\nclear_after = 0")


def slow_down_bundle(bundle: Path, monitor: Monitor) -> None:
    """Install a bundle of readings every 300 s, with a `stale_after` that suited the one before."""
    save_toy_bundle(bundle, sample_period=300.0)
    monitor.configure("[windows]\nstale_after = 60")


@pytest.mark.parametrize(
    ("break_input", "message"),
    [
        (break_bundle, "model.onnx: its SHA-256 is"),
        (change_unreloadable_setting, "log.level changed; expected a restart for that"),
        (write_invalid_settings, "alerts.clear_after"),
        (slow_down_bundle, "windows.stale_after is 60 s and windows.max_gap 900 s"),
    ],
)
def test_bad_reload_is_refused(
    tmp_path: Path,
    mosquitto: Mosquitto,
    break_input: Callable[[Path, Monitor], None],
    message: str,
) -> None:
    """A reload that isn't possible is refused with the reason, in response and log, and changes nothing."""
    bundle = tmp_path / "bundle"
    save_toy_bundle(bundle)
    monitor = Monitor(tmp_path, bundle, mosquitto.port)
    with connect_client(mosquitto.port, RESPONSE) as mqtt_client, run_monitor(monitor):
        mqtt_client.publish(TOPIC, [reading(1000, HEALTHY), reading(1005, HEALTHY)])
        break_input(bundle, monitor)
        mqtt_client.publish("sensor-monitor/request/reload", {"transaction": 7})
        wait_until(lambda: mqtt_client.messages, "an answer comes")
        (response,) = mqtt_client.payloads(RESPONSE)
        assert (response["status"], response["transaction"]) == ("error", 7)
        assert message in response["error"]
        monitor.wait_for_log(f"reload refused, all stays as it was: {response['error']}")
        monitor.wait_for_metric(1, "reloads_total", result="refused")
        assert monitor.metric("reloads_total", result="done") == 0
        mqtt_client.publish(TOPIC, reading(1010, HEALTHY))
        wait_until(lambda: monitor.outcomes() == {"filling": 2, "judged": 1}, "it judges as before")


def request_reload(mqtt_client: Client, payload: bytes, response_count: int) -> dict[str, object]:
    """Send a reload request; return the answer to it."""
    mqtt_client.publish("sensor-monitor/request/reload", payload)
    wait_until(lambda: len(mqtt_client.payloads(RESPONSE)) == response_count, "an answer comes")
    response: dict[str, object] = mqtt_client.payloads(RESPONSE)[-1]
    return response


def test_responses(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A request is answered with its transaction; an unreadable or unknown request with the error."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, "sensor-monitor/response/#") as mqtt_client, run_monitor(monitor):
        assert request_reload(mqtt_client, b"", 1) == {"status": "ok"}
        assert request_reload(mqtt_client, b'{"transaction": "a"}', 2) == {"status": "ok", "transaction": "a"}
        assert monitor.metric("reloads_total", result="done") == 2
        for number, payload in enumerate((b"[1]", b"\xff", b"{")):
            response = request_reload(mqtt_client, payload, 3 + number)
            assert response["status"] == "error"
            assert str(response["error"]).startswith("the request ")
        mqtt_client.publish("sensor-monitor/request/nonsense", {"transaction": 1})
        wait_until(lambda: mqtt_client.payloads("sensor-monitor/response/nonsense"), "that is answered too")
        (response,) = mqtt_client.payloads("sensor-monitor/response/nonsense")
        assert (
            response["error"]
            == "there is no request 'nonsense'; expected acknowledge, silence, false-alarm, forget, reload"
        )
        mqtt_client.publish("sensor-monitor/request", b"")
        wait_until(
            lambda: mqtt_client.payloads("sensor-monitor/response")[-1] != response, "so is no name at all"
        )
        assert mqtt_client.messages[-1][0] == "sensor-monitor/response"
        assert "there is no request ''" in mqtt_client.payloads("sensor-monitor/response")[-1]["error"]
        assert monitor.outcomes() == {}, "a request is no reading"


def test_wrong_address_mended_by_reload(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A wrong address of the broker can be corrected without a restart."""
    monitor = Monitor(tmp_path, toy_bundle, free_port())
    try:
        monitor.start()
        wait_until(lambda: "no connection" in monitor.get("/readyz")[1], "it can't connect")
        monitor.configure(port=mosquitto.port)
        send_sighup(monitor)
        wait_until(lambda: monitor.get("/readyz")[0] == 200, "it is ready")
        assert monitor.terminate() == 0
    finally:
        monitor.kill()
