"""The broker stops, or dies."""

import json
from pathlib import Path

from tests.chaos.harness import Rig, by_mode
from tests.chaos.raw_mqtt import Packet, packets
from tests.chaos.reading_generator import Reading
from tests.chaos.recorder import Witness
from tests.chaos.results import Row

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
    what a broken connection swallows is the broker's to send again, and this broker can't. It also remembers
    it, for a witness that is slower than the monitor gets less.
    """
    total = Row("broker killed (kill -9), against a second subscriber", count)
    for mode, times in by_mode(count):
        rig = Rig(folder / mode, seed, mode, proxied=True)
        assert rig.proxy is not None
        rig.proxy.keeps = True
        with rig:
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
                handed = [packet for told in rig.proxy.told for packet in packets(told.copy())]
                delivered = _delivered(sent, [*witness.packets, *handed])
                row = rig.settle(Row("", 1, len(sent)), [delivered])
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


def _delivered(sent: list[Reading], witnessed: list[Packet]) -> list[Reading]:
    """Return the readings that the witness or the monitor was handed, each group's in order."""
    known = {(reading.topic.decode(), reading.ts): reading for reading in sent}
    found = set()
    for packet in witnessed:
        if packet.topic.startswith("plant/"):
            content = packet.payload[packet.payload.index(b"{") :]  # MQTT 5's properties stand before it
            found.add((packet.topic, float(json.loads(content)["ts"])))
    return [reading for key, reading in known.items() if key in found]
