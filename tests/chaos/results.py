"""What should have come out of the readings that the broker confirmed, and what did."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from monitor import bundle
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.topics import Template
from monitor.core.verdicts import AlertEvent
from monitor.ingest.decode import DecodeStage
from monitor.mqtt.receive_queue import CAPACITY, ReceiveQueue
from monitor.service.stages import build_scoring
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
    """What tells one alert event from another."""

    id: str
    status: str
    window_ts: tuple[float, ...]
    """Event times of the readings that it was judged by: whoever lost one of them has another window."""


@dataclass
class ResultRow:
    """A line of the table: what was done how often, and what came of it."""

    fault: str
    repetitions: int
    confirmed_readings: int = 0
    """Readings that the broker confirmed."""
    lost_windows: int = 0
    """Faulty windows of confirmed readings without their event."""
    lost_alerts: int = 0
    unexpected_ids: int = 0
    """Incidents that got an id which they should not have."""
    unresolved_incidents: int = 0
    unexpected_events: int = 0
    """Events that no confirmed readings account for."""
    duplicate_events: int = 0
    """Events that came again with the same id; allowed."""
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Other promises that were not kept."""

    def add(self, other: "ResultRow") -> None:
        """Add another run of the same fault."""
        for name in ("confirmed", "lost", "alerts_lost", "second_ids", "unresolved", "invented", "repeats"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.notes += other.notes
        self.failures += other.failures

    @property
    def problems(self) -> list[str]:
        """Return what should not be."""
        must_be_zero = ("lost", "alerts_lost", "second_ids", "unresolved", "invented")
        return [
            *self.failures,
            *(f"{name} {getattr(self, name)}" for name in must_be_zero if getattr(self, name)),
        ]


def expected_events(bundle_folder: Path, mode: str, readings: Iterable[Reading]) -> list[AlertEvent]:
    """Return the events of an undisturbed monitor, by its own stages, as `backtest` has them.

    Parameters
    ----------
    bundle_folder : the bundle.
    mode : "lifecycle" or "every_window".
    readings : as the monitor's stages should have seen them from their first start on.
    """
    loaded = bundle.load(bundle_folder)
    scoring = build_scoring(loaded, WindowSettings(), AlertSettings.model_validate({"mode": mode}))
    decode_stage = DecodeStage(
        [Template("plant/{line}/{station}/reading")], loaded.manifest.feature_names, {}
    )
    events: list[AlertEvent] = []
    receive_queue = ReceiveQueue()
    for batch in _batches(readings):
        for reading in batch:
            receive_queue.put([(reading.topic.decode(), reading.payload, None, False)])
        while (message_batch := receive_queue.take(0)).messages:
            decoded, rejections = decode_stage.decode(message_batch.messages, message_batch.arrivals)
            assert not rejections, rejections[0]
            events += scoring.judge(decoded).events
    return events


def compare_events(
    row: ResultRow, mode: str, expected: Sequence[AlertEvent], packets: Sequence[Packet]
) -> None:
    """Add to a row what the subscribers of alerts and states got, against what they should have got."""
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
    """Yield the alert events among what a witness got."""
    for packet in packets:
        if packet.topic.startswith(ALERT_PREFIX):
            content = json.loads(packet.payload)
            yield EventKey(content["id"], content["status"], tuple(content["window"]["ts"]))


def last_states(packets: Iterable[Packet]) -> dict[str, bytes]:
    """Return the newest state on each topic, whatever a broker that was killed brings up again."""
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
