"""What the broker refuses to take is lost: that is counted and said, and all else goes on."""

from pathlib import Path

import pytest

from monitor.mqtt.publish_results import Confirmations
from tests.conftest import Mosquitto, NewBroker, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.monitor.mqtt.recording_listener import Ear, ready, session
from tests.support.processes import Monitor, client, running
from tests.support.toy_bundle import FAULTY, HEALTHY

ALERTS = "sensor-monitor/alerts/line1/station7"
SAID = f"the broker refuses what is published to '{ALERTS}' (reason 135), and nobody gets it"


@pytest.fixture
def strict(tmp_path: Path, new_broker: NewBroker) -> Mosquitto:
    """A broker that takes everything but alerts, and writes down what it denies."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite #\ntopic deny sensor-monitor/alerts/#\n")
    broker = new_broker("allow_anonymous true", f"acl_file {acl}", "log_type all")
    broker.start()
    return broker


def _denied(broker: Mosquitto) -> int:
    return (broker.folder / "mosquitto.log").read_text().count("Denied PUBLISH")


def test_said_once_and_counted_each_time(caplog: pytest.LogCaptureFixture) -> None:
    """Each refusal is told on, and the log has one a minute at most."""
    ear = Ear()
    confirmations = Confirmations(ear.publish_refused)
    for topic in (ALERTS, "other", ALERTS):
        confirmations.refuse(topic, 135)
    assert ear.refusals == 3
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [SAID]


@pytest.mark.parametrize("bulk", [True, False])
def test_alerts_that_nobody_gets(tmp_path: Path, strict: Mosquitto, toy_bundle: Path, *, bulk: bool) -> None:
    """Alerts that the broker's rights forbid are counted, said once and given up; the state still arrives."""
    monitor = Monitor(
        tmp_path, toy_bundle, strict.port, "[alerts]\nclear_after = 1", f"bulk = {str(bulk).lower()}"
    )
    course = [HEALTHY, HEALTHY, FAULTY, HEALTHY, HEALTHY, HEALTHY]
    with client(strict.port, "sensor-monitor/state/#") as other:
        with running(monitor):
            assert monitor.metric("messages_refused_total") == 0
            for number, values in enumerate(course):
                other.publish(TOPIC, reading(1000 + 5 * number, values))
            wait_until(
                lambda: monitor.metric("messages_refused_total") == 2, "firing and resolved are refused"
            )
            wait_until(
                lambda: (
                    [told["state"] for told in other.payloads("sensor-monitor/state/")][-1:] == ["normal"]
                ),
                "the state arrives",
            )
            assert monitor.terminate() == 0
            assert monitor.log().count("the broker refuses") == monitor.log().count(SAID) == 1
        with running(monitor):
            other.publish(TOPIC, reading(1000 + 5 * len(course), FAULTY))
            wait_until(lambda: monitor.metric("messages_refused_total") == 1, "the next one is refused")
        assert _denied(strict) == 3, "none was sent again"


@pytest.mark.parametrize("bulk", [True, False])
def test_what_arrives_is_not_refused(strict: Mosquitto, *, bulk: bool) -> None:
    """Of messages with and without refusal all are answered, and only what was refused is told as such."""
    ear = Ear()
    with session(strict.port, ear, bulk=bulk) as own:
        ready(own)
        numbers = [own.publish(topic, b"") for topic in ("nobody/listens", ALERTS, "nobody/listens")]
        answered: list[int] = []
        wait_until(lambda: answered.extend(own.delivered()) or len(answered) >= 3, "all are answered")
        assert sorted(answered) == numbers
        assert ear.refusals == 1
