"""The broker stops, or dies."""

import json
from pathlib import Path

from tests.chaos.course import Reading
from tests.chaos.rig import Rig, by_mode
from tests.chaos.verdict import Row, read_events
from tests.chaos.wire import Packet
from tests.chaos.witness import Witness

__all__ = ["kill_broker", "restart_broker"]


def restart_broker(folder: Path, count: int, seed: int) -> Row:
    """Stop the broker as an administrator would, and start it again."""
    total = Row("broker stopped and started", count)
    for mode, times in by_mode(count):
        with Rig(folder / mode, seed, mode) as rig:
            rig.plant.start()
            for _ in range(times):
                rig.wait(0.2, 1.5)
                rig.broker.stop()
                rig.broker.start()
                rig.ready()
            total.add(rig.verdict())
    return total


def kill_broker(folder: Path, count: int, seed: int) -> Row:
    """Kill the broker, which forgets what it confirmed: a second subscriber says what it delivered.

    The proxy hands on to the last byte what the dying broker had sent, as the witness's own socket does:
    what a broken connection swallows is the broker's to send again, and this broker can't.
    """
    total = Row("broker killed (kill -9), against a second subscriber", count)
    for mode, times in by_mode(count):
        with Rig(folder / mode, seed, mode, proxied=True) as rig:
            # The monitor subscribed first, so the broker serves it first: the witness never has more.
            witness = Witness(rig.broker.port, "input", "plant/#")
            try:
                witness.start()
                for _ in range(times):
                    rig.plant.start()
                    rig.wait(1.0, 3.0)
                    _kill(rig, witness)
                rig.plant.start()
                rig.wait(0.2, 0.5)
                sent = rig.plant.finish()
                delivered = _delivered(sent, witness.packets, rig.witness.packets)
                row = rig.settle(Row("", 1, len(sent)), [delivered])
                # Events tell of readings, too, that reached the monitor and not the witness.
                row.notes.append(f"{len(sent) - len(delivered)} readings forgotten by the broker")
                total.add(row)
            finally:
                witness.close()
    return total


def _kill(rig: Rig, witness: Witness) -> None:
    """Kill the broker and start it; return when everybody has come back, the plant excepted."""
    reconnects = rig.monitor.metric("mqtt_reconnects_total")
    rig.broker.kill()
    rig.plant.leave()
    rig.until(lambda: not (witness.subscribed.is_set() or rig.witness.subscribed.is_set()), "it is noticed")
    rig.broker.start()
    rig.until(lambda: rig.monitor.metric("mqtt_reconnects_total") > reconnects, "the monitor comes back")
    rig.ready()
    witness.start()
    rig.witness.start()


def _delivered(sent: list[Reading], witnessed: list[Packet], alerts: list[Packet]) -> list[Reading]:
    """Return the readings that the witness or, by its events, the monitor got, each group's in order."""
    known = {(reading.topic.decode(), reading.ts): reading for reading in sent}
    found = {(packet.topic, float(json.loads(packet.payload)["ts"])) for packet in witnessed}
    for event in read_events(alerts):
        topic = f"plant/{event.id.rsplit(':', 1)[0]}/reading"
        found.update((topic, ts) for ts in event.window)
    return [reading for key, reading in known.items() if key in found]
