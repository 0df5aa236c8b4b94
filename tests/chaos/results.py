"""The events expected of the readings that the broker acknowledged, compared with the events received."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from monitor import bundle
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.topics import OwnTopics, Template
from monitor.core.verdicts import AlertEvent
from monitor.ingest.decode import DecodeStage
from monitor.mqtt.receive_queue import CAPACITY, ReceiveQueue
from monitor.service.settings_to_stages import build_scoring
from tests.chaos.raw_mqtt import Packet
from tests.chaos.reading_generator import Reading

__all__ = [
    "ALERT_PREFIX",
    "STATE_PREFIX",
    "EventKey",
    "ResultRow",
    "compare_events",
    "expected_events",
    "last_states",
    "read_events",
]

ALERT_PREFIX, STATE_PREFIX = "sensor-monitor/alerts/", "sensor-monitor/state/"


class EventKey(NamedTuple):
    """Identity of an alert event."""

    id: str
    status: str
    window_ts: tuple[float, ...]
    """Event times of the readings in its window: a monitor that lost one of them publishes another window."""


@dataclass
class ResultRow:
    """Result of one scenario: one row of the table."""

    fault: str
    """What was done."""
    repetitions: int
    confirmed_readings: int = 0
    """Readings that the broker acknowledged to the publisher."""
    lost_windows: int = 0
    """Faulty windows of acknowledged readings for which no event was received; counted in every_window
    mode."""
    lost_alerts: int = 0
    """Pairs of incident id and status that were expected and not received."""
    unexpected_ids: int = 0
    """Incident ids that were received and not expected."""
    unresolved_incidents: int = 0
    """Incidents without a `resolved` event, and groups whose last state still has an incident."""
    unexpected_events: int = 0
    """Events that don't follow from the acknowledged readings."""
    duplicate_events: int = 0
    """Events that were received again with the same identity, which is allowed."""
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Other requirements that were not met."""

    def add(self, other: "ResultRow") -> None:
        """Add the counts, notes and failures of another run of the same scenario; `repetitions` stays."""
        self.confirmed_readings += other.confirmed_readings
        self.lost_windows += other.lost_windows
        self.lost_alerts += other.lost_alerts
        self.unexpected_ids += other.unexpected_ids
        self.unresolved_incidents += other.unresolved_incidents
        self.unexpected_events += other.unexpected_events
        self.duplicate_events += other.duplicate_events
        self.notes += other.notes
        self.failures += other.failures

    @property
    def problems(self) -> list[str]:
        """Return the failures, and the counts that must be 0 and aren't."""
        must_be_zero = {
            "readings lost": self.lost_windows,
            "alerts lost": self.lost_alerts,
            "unexpected ids": self.unexpected_ids,
            "unresolved": self.unresolved_incidents,
            "unexpected events": self.unexpected_events,
        }
        return [*self.failures, *(f"{name}: {count}" for name, count in must_be_zero.items() if count)]


def expected_events(bundle_folder: Path, mode: str, readings: Iterable[Reading]) -> list[AlertEvent]:
    """Return the events that an undisturbed monitor publishes, computed by its own stages as in `backtest`.

    Parameters
    ----------
    bundle_folder : folder of the bundle.
    mode : "lifecycle" or "every_window".
    readings : all readings since the monitor started with an empty store, in their order.
    """
    loaded = bundle.load(bundle_folder)
    scoring = build_scoring(loaded, WindowSettings(), AlertSettings.model_validate({"mode": mode}))
    decode_stage = DecodeStage(
        [Template("plant/{line}/{station}/reading")],
        loaded.manifest.feature_names,
        {},
        OwnTopics("sensor-monitor"),
    )
    events: list[AlertEvent] = []
    receive_queue = ReceiveQueue()
    for batch in _batches(readings):
        for reading in batch:
            receive_queue.put([(reading.topic.decode(), reading.payload, None, False)])
        while (message_batch := receive_queue.take(0)).messages:
            decoded = decode_stage.decode(message_batch.messages, message_batch.arrivals)
            assert not decoded.rejected, decoded.rejected[0]
            events += scoring.judge(decoded.readings).events
    return events


def compare_events(
    row: ResultRow, mode: str, expected: Sequence[AlertEvent], packets: Sequence[Packet]
) -> None:
    """Compare received alerts and states with the expected events, and add the counts to a row."""
    expected_keys = {EventKey(event.id, event.status, tuple(event.window_ts)) for event in expected}
    received_keys = Counter(read_events(packets))
    expected_pairs, received_pairs = (
        {(event.id, event.status) for event in events} for events in (expected_keys, received_keys)
    )
    row.lost_windows += len(expected_keys - received_keys.keys()) if mode == "every_window" else 0
    row.lost_alerts += len(expected_pairs - received_pairs)
    row.unexpected_ids += len(
        {incident_id for incident_id, _ in received_pairs}
        - {incident_id for incident_id, _ in expected_pairs}
    )
    row.unexpected_events += len(received_keys.keys() - expected_keys)
    row.duplicate_events += received_keys.total() - len(received_keys)
    if mode == "lifecycle":
        row.unresolved_incidents += sum(
            (incident_id, "resolved") not in received_pairs for incident_id, _ in received_pairs
        )
    states = last_states(packets)
    row.unresolved_incidents += sum(
        json.loads(payload)["incident"] is not None for payload in states.values()
    )


def read_events(packets: Iterable[Packet]) -> Iterator[EventKey]:
    """Yield the alert events among the packets that a recorder received."""
    for packet in packets:
        if packet.topic.startswith(ALERT_PREFIX):
            content = json.loads(packet.payload)
            yield EventKey(content["id"], content["status"], tuple(content["window"]["ts"]))


def last_states(packets: Iterable[Packet]) -> dict[str, bytes]:
    """Return the newest payload on each state topic.

    Retained messages, and redeliveries of states that were seen before, are skipped: a broker that was killed
    may deliver old states after newer ones.
    """
    last_payloads: dict[str, bytes] = {}
    seen_states: set[tuple[str, bytes]] = set()
    for packet in packets:
        state = packet.topic, packet.payload
        if packet.topic.startswith(STATE_PREFIX) and not (
            packet.retained or (packet.dup and state in seen_states)
        ):
            seen_states.add(state)
            last_payloads[packet.topic] = packet.payload
    return last_payloads


def _batches(readings: Iterable[Reading]) -> Iterator[list[Reading]]:
    batch: list[Reading] = []
    for reading in readings:
        batch.append(reading)
        if len(batch) == CAPACITY:
            yield batch
            batch = []
    yield batch
