"""Messages that the broker refuses are lost: they are counted and logged, and everything else continues."""

import time
from pathlib import Path

import pytest

from monitor.mqtt.publish_results import PublishResults
from tests.conftest import BrokerFactory, Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY

ALERT_TOPIC = "sensor-monitor/alerts/line1/station7"
EXPECTED_LOG = (
    f"the broker refuses what is published to '{ALERT_TOPIC}' (reason 135), and these messages are lost"
)


@pytest.fixture
def acl_broker(tmp_path: Path, new_broker: BrokerFactory) -> Mosquitto:
    """A broker that refuses alerts and nothing else, and logs what it denies."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite #\ntopic deny sensor-monitor/alerts/#\n")
    broker = new_broker("allow_anonymous true", f"acl_file {acl}", "log_type all")
    broker.start()
    return broker


def _denied_count(broker: Mosquitto) -> int:
    return (broker.folder / "mosquitto.log").read_text().count("Denied PUBLISH")


def test_refusals_are_logged_once_and_all_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Each refusal is reported to the listener, and at most one a minute is logged."""
    listener = RecordingListener()
    results = PublishResults(listener.on_publish_failed)
    for message_id, topic in enumerate((ALERT_TOPIC, "other", ALERT_TOPIC)):
        results.add_refused(message_id, topic, 135)
    assert listener.refused_count == 3
    assert results.drain() == [(message_id, None) for message_id in range(3)]
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [EXPECTED_LOG]


@pytest.mark.parametrize("bulk", [True, False])
def test_refused_alerts(tmp_path: Path, acl_broker: Mosquitto, toy_bundle: Path, *, bulk: bool) -> None:
    """Alerts that the broker's ACL denies are counted, logged once and given up; the state still arrives."""
    monitor = Monitor(
        tmp_path, toy_bundle, acl_broker.port, "[alerts]\nclear_after = 1", f"bulk = {str(bulk).lower()}"
    )
    values_sequence = [HEALTHY, HEALTHY, FAULTY, HEALTHY, HEALTHY, HEALTHY]
    with connect_client(acl_broker.port, "sensor-monitor/state/#") as other:
        with run_monitor(monitor):
            assert monitor.metric("messages_refused_total") == 0
            for number, values in enumerate(values_sequence):
                other.publish(TOPIC, reading(1000 + 5 * number, values))
            wait_until(
                lambda: monitor.metric("messages_refused_total") == 2, "firing and resolved are refused"
            )
            wait_until(
                lambda: (
                    [status["state"] for status in other.payloads("sensor-monitor/state/")][-1:] == ["normal"]
                ),
                "the state arrives",
            )
            assert monitor.terminate() == 0
            assert monitor.log().count("the broker refuses") == monitor.log().count(EXPECTED_LOG) == 1
        with run_monitor(monitor):
            other.publish(TOPIC, reading(1000 + 5 * len(values_sequence), FAULTY))
            wait_until(lambda: monitor.metric("messages_refused_total") == 1, "the next one is refused")
        assert _denied_count(acl_broker) == 3, "none was published again"


@pytest.mark.parametrize("bulk", [True, False])
def test_accepted_publishes_are_not_counted(acl_broker: Mosquitto, *, bulk: bool) -> None:
    """Accepted and refused messages are all answered, and only the refused one is reported as refused."""
    listener = RecordingListener()
    with session(acl_broker.port, listener, bulk=bulk) as own:
        wait_until_ready(own)
        published_at = time.monotonic()
        message_ids = [own.publish(topic, b"") for topic in ("nobody/listens", ALERT_TOPIC, "nobody/listens")]
        confirmed_at: dict[int, float | None] = {}
        wait_until(
            lambda: confirmed_at.update(own.take_confirmed()) or len(confirmed_at) >= 3, "all are answered"
        )
        first, refused, last = (confirmed_at[message_id] for message_id in message_ids)
        assert first is not None
        assert last is not None
        assert published_at < first <= last < time.monotonic()
        assert refused is None
        assert listener.refused_count == 1


def test_refusal_names_the_topic_with_a_plain_client(
    acl_broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where paho's private interface cannot be used the log names the refused topic."""
    monkeypatch.setattr("monitor.mqtt.client.private_api_problems", lambda _: ["a method is missing"])
    listener = RecordingListener()
    with session(acl_broker.port, listener) as own:
        wait_until_ready(own)
        own.publish("nobody/listens", b"")
        own.publish(ALERT_TOPIC, b"")
        wait_until(lambda: listener.refused_count == 1, "the refusal is reported")
    assert EXPECTED_LOG in caplog.text
