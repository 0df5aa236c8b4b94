"""What should have come out of the readings that the broker confirmed, and what did."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from monitor import bundle
from monitor.config.settings import Alerts, WindowSettings
from monitor.core.topics import Template
from monitor.core.verdicts import AlertEvent
from monitor.ingest.decode import DecodeStage
from monitor.mqtt.receive_queue import CAPACITY, Inbox
from monitor.service.stages import build_scoring
from tests.chaos.raw_mqtt import Packet
from tests.chaos.reading_generator import Reading

__all__ = ["ALERTS", "STATES", "Event", "Row", "expect", "last_states", "read_events", "weigh"]

ALERTS, STATES = "sensor-monitor/alerts/", "sensor-monitor/state/"


class Event(NamedTuple):
    """What tells one alert event from another."""

    id: str
    status: str
    window: tuple[float, ...]
    """Event times of the readings that it was judged by: whoever lost one of them has another window."""


@dataclass
class Row:
    """A line of the table: what was done how often, and what came of it."""

    fault: str
    times: int
    confirmed: int = 0
    """Readings that the broker confirmed."""
    lost: int = 0
    """Faulty windows of confirmed readings without their event."""
    alerts_lost: int = 0
    second_ids: int = 0
    """Incidents that got an id which they should not have."""
    unresolved: int = 0
    invented: int = 0
    """Events that no confirmed readings account for."""
    repeats: int = 0
    """Events that came again with the same id; allowed."""
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Other promises that were not kept."""

    def add(self, other: "Row") -> None:
        """Add another run of the same fault."""
        for name in ("confirmed", "lost", "alerts_lost", "second_ids", "unresolved", "invented", "repeats"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.notes += other.notes
        self.broken += other.broken

    @property
    def wrong(self) -> list[str]:
        """Return what should not be."""
        zero = ("lost", "alerts_lost", "second_ids", "unresolved", "invented")
        return [*self.broken, *(f"{name} {getattr(self, name)}" for name in zero if getattr(self, name))]


def expect(folder: Path, mode: str, readings: Iterable[Reading]) -> list[AlertEvent]:
    """Return the events of an undisturbed monitor, by its own stages, as `backtest` has them.

    Parameters
    ----------
    folder : the bundle.
    mode : "lifecycle" or "every_window".
    readings : as the monitor's stages should have seen them from their first start on.
    """
    loaded = bundle.load(folder)
    chain = build_scoring(loaded, WindowSettings(), Alerts.model_validate({"mode": mode}))
    decode = DecodeStage([Template("plant/{line}/{station}/reading")], loaded.manifest.names, {})
    events: list[AlertEvent] = []
    inbox = Inbox()
    for batch in _batches(readings):
        for reading in batch:
            inbox.put([(reading.topic.decode(), reading.payload, None, False)])
        while (taken := inbox.take(0)).messages:
            found, refusals = decode.decode(taken.messages, taken.arrivals)
            assert not refusals, refusals[0]
            events += chain.judge(found).events
    return events


def weigh(row: Row, mode: str, expected: Sequence[AlertEvent], packets: Sequence[Packet]) -> None:
    """Add to a row what the subscribers of alerts and states got, against what they should have got."""
    due = {Event(event.id, event.status, tuple(event.window_ts)) for event in expected}
    seen = Counter(read_events(packets))
    pairs_due, pairs_seen = ({(event.id, event.status) for event in events} for events in (due, seen))
    row.lost += len(due - seen.keys()) if mode == "every_window" else 0
    row.alerts_lost += len(pairs_due - pairs_seen)
    row.second_ids += len({name for name, _ in pairs_seen} - {name for name, _ in pairs_due})
    row.invented += len(seen.keys() - due)
    row.repeats += seen.total() - len(seen)
    if mode == "lifecycle":
        row.unresolved += sum((name, "resolved") not in pairs_seen for name, _ in pairs_seen)
    states = last_states(packets)
    row.unresolved += sum(json.loads(payload)["incident"] is not None for payload in states.values())


def read_events(packets: Iterable[Packet]) -> Iterator[Event]:
    """Yield the alert events among what a witness got."""
    for packet in packets:
        if packet.topic.startswith(ALERTS):
            content = json.loads(packet.payload)
            yield Event(content["id"], content["status"], tuple(content["window"]["ts"]))


def last_states(packets: Iterable[Packet]) -> dict[str, bytes]:
    """Return the newest state on each topic, whatever a broker that was killed brings up again."""
    last: dict[str, bytes] = {}
    known: set[tuple[str, bytes]] = set()
    for packet in packets:
        said = packet.topic, packet.payload
        if packet.topic.startswith(STATES) and not (packet.retained or (packet.again and said in known)):
            known.add(said)
            last[packet.topic] = packet.payload
    return last


def _batches(readings: Iterable[Reading]) -> Iterator[list[Reading]]:
    batch: list[Reading] = []
    for reading in readings:
        batch.append(reading)
        if len(batch) == CAPACITY:
            yield batch
            batch = []
    yield batch
