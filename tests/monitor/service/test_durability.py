"""What survives the process, with real brokers and real processes that are killed."""

from pathlib import Path

import pytest

from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, save_toy_bundle

ALERTS = "sensor-monitor/alerts/"


def has_judged(monitor: Monitor, count: int) -> bool:
    """Return whether `count` windows were judged since the start."""
    return monitor.outcomes().get("judged") == count


@pytest.mark.parametrize("clean", [True, False])
def test_incident_across_a_restart(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, *, clean: bool
) -> None:
    """An incident that began before the process was killed is resolved by the next, with the same id."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    with connect_client(mosquitto.port, ALERTS + "#") as mqtt_client:
        with run_monitor(monitor):
            mqtt_client.publish(TOPIC, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
            wait_until(lambda: len(mqtt_client.messages) == 1, "it fires")
            assert monitor.terminate() == 0 if clean else not monitor.kill()
        mqtt_client.publish(TOPIC, [reading(1015 + 5 * number, HEALTHY) for number in range(3)])
        with run_monitor(monitor):
            assert "restored 1 groups, 1 open incidents" in monitor.log()
            monitor.wait_for_metric(1, "alerts_firing")
            mqtt_client.publish(TOPIC, [reading(1030 + 5 * number, HEALTHY) for number in range(2)])
            wait_until(lambda: mqtt_client.payloads(ALERTS)[-1]["status"] == "resolved", "it is resolved")
            # After a kill the first event may be published again.
            assert len({event["id"] for event in mqtt_client.payloads(ALERTS)}) == 1
            wait_until(lambda: has_judged(monitor, 5), "no window is filled anew")


@pytest.mark.parametrize("qos", [0, 1])
def test_window_across_a_restart(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, qos: int) -> None:
    """A partly filled window continues after a restart; with QoS 0 only after a clean stop."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, mqtt_toml=f"qos = {qos}")
    with connect_client(mosquitto.port) as mqtt_client:
        with run_monitor(monitor):
            mqtt_client.publish(TOPIC, [reading(1000, HEALTHY), reading(1005, HEALTHY)])
            wait_until(lambda: monitor.outcomes() == {"filling": 2}, "it takes them")
            assert monitor.terminate() == 0
        with run_monitor(monitor):
            monitor.wait_for_metric(1, "groups", state="filling")
            mqtt_client.publish(TOPIC, reading(1010, HEALTHY))
            wait_until(lambda: monitor.outcomes() == {"judged": 1}, "the third one completes it")


def test_other_bundle_of_the_same_shape(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A retrained bundle of the same shape keeps windows and incidents."""
    other_bundle = tmp_path / "retrained"
    save_toy_bundle(other_bundle, id="0123456789abcdef")
    with connect_client(mosquitto.port, ALERTS + "#") as mqtt_client:
        with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor:
            mqtt_client.publish(TOPIC, [reading(1000 + 5 * number, FAULTY) for number in range(3)])
            wait_until(lambda: len(mqtt_client.messages) == 1, "it fires")
            assert monitor.terminate() == 0
        with run_monitor(Monitor(tmp_path, other_bundle, mosquitto.port)) as monitor:
            mqtt_client.publish(TOPIC, [reading(1015 + 5 * number, HEALTHY) for number in range(5)])
            wait_until(lambda: len(mqtt_client.messages) == 2, "it is resolved")
            firing, resolved = mqtt_client.payloads(ALERTS)
            assert firing["id"] == resolved["id"]
            assert firing["bundle"] != resolved["bundle"]


def test_two_monitors_with_one_store(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """A second monitor with the same store doesn't start; exit code 1, because the store may become free."""
    (tmp_path / "second").mkdir()
    second = Monitor(tmp_path / "second", toy_bundle, mosquitto.port, store_path=tmp_path / "state.db")
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)):
        second.start(expect_exit=True)
        assert second.process is not None
        assert second.process.wait() == 1
        assert "is in use by another process; expected a file of its own" in second.log()


def test_expected_group(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A group of input.groups that never sends becomes silent, in the metrics and in its state."""
    extra = '[input]\ngroups = ["line1/mute"]\n[windows]\nstale_after = 0.2'
    save_toy_bundle(tmp_path / "bundle", sample_period=0.05)
    with (
        connect_client(mosquitto.port, "sensor-monitor/state/#") as mqtt_client,
        run_monitor(Monitor(tmp_path, tmp_path / "bundle", mosquitto.port, extra)) as monitor,
    ):
        wait_until(lambda: monitor.metric("groups", state="silent") == 1, "it is silent")
        states = "sensor-monitor/state/line1/mute"
        wait_until(lambda: mqtt_client.payloads(states), "its state comes")
        wait_until(lambda: mqtt_client.payloads(states)[-1]["state"] == "silent", "its state says so")


def test_max_groups(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Beyond max_groups the groups with the oldest readings are evicted, and restored with their window."""
    with (
        connect_client(mosquitto.port) as mqtt_client,
        run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, "[input]\nmax_groups = 2")) as monitor,
    ):
        for station in "abc":
            for ts in (1000, 1005):
                mqtt_client.publish(f"plant/line1/{station}/reading", reading(ts, HEALTHY))
        wait_until(lambda: monitor.metric("groups_set_aside_total") == 1, "one is set aside")
        mqtt_client.publish("plant/line1/a/reading", reading(1010, HEALTHY))
        wait_until(lambda: has_judged(monitor, 1), "its window goes on")
        assert monitor.metric("groups", state="filling") + monitor.metric("groups", state="normal") == 2


def test_other_topics(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """Topics that the settings no longer contain are unsubscribed, although the broker had stored them."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor:
        assert monitor.terminate() == 0
    new = Monitor(tmp_path, toy_bundle, mosquitto.port, '[input]\ntopics = ["works/{station}"]')
    with connect_client(mosquitto.port) as mqtt_client, run_monitor(new) as monitor:
        mqtt_client.publish(TOPIC, reading(1000, HEALTHY))
        mqtt_client.publish("works/station7", reading(1000, HEALTHY))
        wait_until(lambda: monitor.outcomes() == {"filling": 1}, "only the new topic is heard")
