"""How long alerts take from the arrival of their reading to the broker's confirmation."""

from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from monitor.core.messages import MessageBatch, OutboundMessage
from monitor.core.readings import Arrivals
from monitor.service.outbox_publisher import OutboxPublisher
from monitor.storage.outbox import Outbox
from monitor.telemetry.batch_histogram import BatchHistogram
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message
from tests.support.toy_bundle import FAULTY, HEALTHY


class _SlowSink:
    """A sink whose messages the test confirms; a token is the message's payload."""

    ready = True
    problem = ""

    def __init__(self) -> None:
        self.confirmed: list[tuple[object, float | None]] = []

    def publish(self, message: OutboundMessage) -> object:
        return message.payload

    def take_confirmed(self) -> list[tuple[object, float | None]]:
        confirmed, self.confirmed = self.confirmed, []
        return confirmed


def _alert(payload: bytes, arrived_monotonic: float | None) -> OutboundMessage:
    return OutboundMessage("alerts/g", payload, retain=False, arrived_monotonic=arrived_monotonic)


def test_confirmed_alerts_are_observed() -> None:
    """Of accepted alerts the time since their reading's arrival is observed, of nothing else.

    Not of refused alerts, of states, and of alerts that an earlier process stored.
    """
    registry, sink = CollectorRegistry(), _SlowSink()
    outbox = Outbox([(1, _alert(b"stored", None))])
    histogram = BatchHistogram("seconds", "Some.", (1.0, 10.0), registry)
    publisher = OutboxPublisher(outbox=outbox, sink=sink, delivery_seconds=histogram)  # type: ignore[arg-type]
    outbox.add([_alert(b"first", 100.0), _alert(b"refused", 100.0), _alert(b"last", 102.5)])
    state = OutboundMessage("state/g", b"state", retain=True)
    assert not publisher.publish(iter([state]), is_busy=False)
    sink.confirmed = [(b"stored", 103.0), (b"first", 105.0), (b"refused", None)]
    assert not publisher.publish(iter(()), is_busy=False)
    assert registry.get_sample_value("seconds_sum") == 5.0
    sink.confirmed = [(b"last", 103.0), (b"state", 103.0)]
    assert publisher.publish(iter(()), is_busy=False)
    assert registry.get_sample_value("seconds_sum") == 5.5
    assert registry.get_sample_value("seconds_bucket", {"le": "1.0"}) == 1
    assert registry.get_sample_value("seconds_count") == 2


def test_arrival_of_an_alert(toy_bundle: Path) -> None:
    """An alert has the time at which its own reading arrived, not that of its batch's first message."""
    harness = PipelineHarness(toy_bundle)
    sent = [message(5 * number, HEALTHY if number < 4 else FAULTY) for number in range(8)]
    arrived = np.full(8, NOW + 40)
    batch = MessageBatch(sent, Arrivals(arrived, arrived, np.arange(8.0)), 0, 0.0)
    harness.run((8.0, batch))
    (alert,) = [outbound for outbound in harness.messages if outbound.topic == "alerts/g"]
    assert alert.arrived_monotonic == 4.0
    assert all(outbound.arrived_monotonic is None for outbound in harness.messages if outbound is not alert)


def test_arrival_of_a_held_back_alert(toy_bundle: Path) -> None:
    """An alert that a mute held back has none: how long that took says nothing of the broker."""
    harness = PipelineHarness(toy_bundle)
    harness.commands.mutes.mute("g", 10.0, wall=NOW, now=0.0)
    harness.run((0.0, [message(5 * number, FAULTY) for number in range(3)]), (11.0, []))
    (alert,) = [outbound for outbound in harness.messages if outbound.topic == "alerts/g"]
    assert alert.arrived_monotonic is None
