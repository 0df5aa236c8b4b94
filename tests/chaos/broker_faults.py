"""Faults of the broker: a clean restart, and a kill."""

import json
from pathlib import Path

from tests.chaos.harness import Harness, split_by_mode
from tests.chaos.raw_mqtt import Packet, parse_packets
from tests.chaos.reading_generator import Reading
from tests.chaos.recorder import Recorder
from tests.chaos.results import ResultRow

__all__ = ["kill_broker", "restart_broker"]


def restart_broker(folder: Path, count: int, seed: int) -> ResultRow:
    """Stop the broker with SIGTERM, as an administrator would, and start it again, `count` times."""
    total = ResultRow("broker stopped and started", count)
    for mode, repetitions in split_by_mode(count):
        with Harness(folder / mode, seed, mode) as harness:
            harness.load_generator.start()
            for _ in range(repetitions):
                harness.wait_random(0.2, 1.5)
                harness.broker.stop()
                harness.broker.start()
                harness.wait_ready()
            total.add(harness.finish())
    return total


def kill_broker(folder: Path, count: int, seed: int) -> ResultRow:
    """Kill the broker `count` times, and expect of the monitor only the readings that the broker delivered.

    A killed broker forgets readings that it had acknowledged to the publisher, so the readings that it sent
    to either of two subscribers, the monitor and an input recorder, are the ones that must be judged.

    The monitor connects through a proxy that forwards every byte which the killed broker had already sent, as
    the recorder's own socket does: normally a broker sends again what was lost with a connection, but this
    broker has forgotten it. The proxy also records these bytes, because a recorder that is slower than the
    monitor has received fewer readings than the monitor when the broker dies.
    """
    total = ResultRow("broker killed (kill -9), against a second subscriber", count)
    for mode, repetitions in split_by_mode(count):
        harness = Harness(folder / mode, seed, mode, use_proxy=True)
        assert harness.proxy is not None
        harness.proxy.is_recording = True
        with harness:
            input_recorder = Recorder(harness.broker.port, "input", "plant/#")
            try:
                input_recorder.start()
                for _ in range(repetitions):
                    harness.load_generator.start()
                    harness.wait_random(1.0, 3.0)
                    _kill_and_restart_broker(harness, input_recorder)
                harness.load_generator.start()
                harness.wait_random(0.2, 0.5)
                sent_readings = harness.load_generator.finish()
                forwarded_packets = [
                    packet
                    for stream in harness.proxy.recorded_bytes
                    for packet in parse_packets(stream.copy())
                ]
                delivered_readings = _delivered_readings(
                    sent_readings, [*input_recorder.packets, *forwarded_packets]
                )
                row = harness.compare(ResultRow("", 1, len(sent_readings)), [delivered_readings])
                row.notes.append(
                    f"{len(sent_readings) - len(delivered_readings)} readings forgotten by the broker"
                )
                total.add(row)
            finally:
                input_recorder.close()
    return total


def _kill_and_restart_broker(harness: Harness, input_recorder: Recorder) -> None:
    """Kill and start the broker; return once the monitor and both recorders are subscribed again."""
    reconnects = harness.monitor.metric("mqtt_reconnects_total")
    harness.broker.kill()
    harness.load_generator.disconnect()
    harness.wait_for(
        lambda: not (input_recorder.subscribed.is_set() or harness.recorder.subscribed.is_set()),
        "both recorders notice the broken connection",
    )
    harness.broker.start()
    harness.wait_for(
        lambda: harness.monitor.metric("mqtt_reconnects_total") > reconnects, "the monitor reconnects"
    )
    harness.wait_ready()
    input_recorder.start()
    harness.recorder.start()


def _delivered_readings(sent_readings: list[Reading], delivered_packets: list[Packet]) -> list[Reading]:
    """Return the sent readings that the broker delivered to the recorder or the monitor, in sending order."""
    readings_by_key = {(reading.topic.decode(), reading.ts): reading for reading in sent_readings}
    delivered_keys = set()
    for packet in delivered_packets:
        if packet.topic.startswith("plant/"):
            # The monitor's MQTT 5 packets have properties before the JSON payload.
            content = packet.payload[packet.payload.index(b"{") :]
            delivered_keys.add((packet.topic, float(json.loads(content)["ts"])))
    return [reading for key, reading in readings_by_key.items() if key in delivered_keys]
