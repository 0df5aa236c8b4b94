"""Retained readings of stations that are dead: what a real broker sends again at each start."""

import time
from pathlib import Path

import pytest

from monitor.core.messages import RETAIN_FLAG
from tests.conftest import BrokerFactory, wait_until
from tests.monitor.service.pipeline_fixture import PipelineHarness, message
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, NAMES, save_toy_bundle

WITHOUT_TS = dict(zip(NAMES, FAULTY, strict=True))
QUICK = "[windows]\nstale_after = 1.0"  # for readings that come every 0.2 s


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_dead_stations_stay_dead(tmp_path: Path, new_broker: BrokerFactory, version: str) -> None:
    """Retained readings wake no silent group, at no restart of monitor or broker, and raise no alert."""
    broker = new_broker("allow_anonymous true", "persistence true", f"persistence_location {tmp_path}/")
    broker.start()
    with connect_client(broker.port) as plant:
        plant.publish("plant/line1/without/reading", WITHOUT_TS, retain=True)
        plant.publish("plant/line1/with/reading", {"ts": time.time(), **WITHOUT_TS}, retain=True)
    bundle = tmp_path / "bundle"
    save_toy_bundle(bundle, sample_period=0.2)
    monitor = Monitor(tmp_path, bundle, broker.port, QUICK, mqtt_toml=f'version = "{version}"')
    with run_monitor(monitor):
        wait_until(lambda: monitor.outcomes() == {"retained": 1, "filling": 1}, "both are counted")
        assert monitor.metric("readings_total", outcome="retained") == 1
        wait_until(lambda: monitor.metric("groups", state="silent") == 1, "the one with ts is silent")
        for _ in range(3):
            assert monitor.terminate() == 0
            monitor.start_ready()
            assert_still_dead(monitor, broker.port)
        connections = monitor.metric("mqtt_reconnects_total")
        broker.stop()
        broker.start()
        wait_until(lambda: monitor.metric("mqtt_reconnects_total") > connections, "it reconnects")
        wait_until(lambda: monitor.get("/readyz")[0] == 200, "it is ready")
        assert_still_dead(monitor, broker.port)


def assert_still_dead(monitor: Monitor, broker_port: int) -> None:
    """Check that the only group known is silent, once all that was retained has been read."""
    unmatched = monitor.outcomes().get("malformed", 0)
    with connect_client(broker_port, "sensor-monitor/alerts/#", "sensor-monitor/state/#") as other:
        other.publish("plant/line1/other/reading", b"last")
        wait_until(lambda: monitor.outcomes().get("malformed", 0) > unmatched, "all has been read")
        assert set(monitor.outcomes()) <= {"retained", "duplicate", "malformed"}
        assert [monitor.metric("groups", state=state) for state in ("filling", "silent")] == [0, 1]
        assert {event["state"] for event in other.payloads("sensor-monitor/state/")} == {"silent"}
        assert other.payloads("sensor-monitor/alerts/") == []


def retained(ts: float) -> tuple[str, bytes, object, int]:
    """Return a retained message with `ts` seconds after the start."""
    topic, payload, ack_token, _ = message(ts)
    return topic, payload, ack_token, RETAIN_FLAG


@pytest.mark.parametrize("is_expected", [True, False])
def test_newer_retained_reading(toy_bundle: Path, *, is_expected: bool) -> None:
    """A retained reading newer than the last one doesn't wake a silent group either; a live one does."""
    harness = PipelineHarness(toy_bundle)
    if is_expected:  # by input.groups, and it never sent a reading
        harness.groups.register_expected(["g"], 0.0, 0.0)
    else:
        harness.run((0.0, [message(0)]))
    harness.run((100.0, []), (101.0, [retained(5)]))
    assert harness.outcomes().get("retained") == 1
    assert harness.payloads("state/g")[-1]["state"] == "silent"
    assert harness.rejected[-1].reason.startswith("retained, and its group is silent")
    harness.run((102.0, [message(5)]))
    assert harness.payloads("state/g")[-1]["state"] == "filling"
