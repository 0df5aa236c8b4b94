"""Faults of the broker: a clean restart, and a kill."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.harness import Harness, split_by_mode
from tests.chaos.raw_mqtt import Packet, parse_packets
from tests.chaos.reading_generator import Reading
from tests.chaos.recorder import Recorder
from tests.chaos.results import ResultRow

__all__ = ["Kill", "kill_broker", "readings_to_judge", "restart_broker"]


@dataclass(frozen=True, slots=True)
class Kill:
    """What was sent until a kill of the broker."""

    packet_count: int
    """Packets that the input recorder had received."""
    stream_count: int
    """Connections that the proxy had recorded."""


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
    to either of two subscribers, the monitor and an input recorder, are the ones that must be judged. Except
    for the last ones before a kill that it sent to the recorder alone: to a subscriber that acknowledges
    slowly it sends later, and readings that waited for that died with it.

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
                kills: list[Kill] = []
                for _ in range(repetitions):
                    harness.load_generator.start()
                    harness.wait_random(1.0, 3.0)
                    kills.append(_kill_and_restart_broker(harness, input_recorder))
                harness.load_generator.start()
                harness.wait_random(0.2, 0.5)
                sent_readings = harness.load_generator.finish()
                judged_readings = readings_to_judge(
                    sent_readings, input_recorder.packets, harness.proxy.recorded_bytes, kills
                )
                row = harness.compare(ResultRow("", 1, len(sent_readings)), [judged_readings])
                row.notes.append(
                    f"{len(sent_readings) - len(judged_readings)} readings forgotten by the broker"
                )
                total.add(row)
            finally:
                input_recorder.close()
    return total


def _kill_and_restart_broker(harness: Harness, input_recorder: Recorder) -> Kill:
    """Kill and start the broker, and wait until the monitor and both recorders are subscribed again."""
    assert harness.proxy is not None
    reconnects = harness.monitor.metric("mqtt_reconnects_total")
    harness.broker.kill()
    harness.load_generator.disconnect()
    harness.wait_for(
        lambda: not (input_recorder.subscribed.is_set() or harness.recorder.subscribed.is_set()),
        "both recorders notice the broken connection",
    )
    kill = Kill(len(input_recorder.packets), len(harness.proxy.recorded_bytes))
    harness.broker.start()
    harness.wait_for(
        lambda: harness.monitor.metric("mqtt_reconnects_total") > reconnects, "the monitor reconnects"
    )
    harness.wait_ready()
    input_recorder.start()
    harness.recorder.start()
    return kill


def readings_to_judge(
    sent_readings: list[Reading],
    recorded_packets: list[Packet],
    forwarded_streams: list[bytearray],
    kills: list[Kill],
) -> list[Reading]:
    """Return the sent readings that the monitor must judge, in sending order.

    Parameters
    ----------
    recorded_packets : what the broker sent to the input recorder.
    forwarded_streams : the bytes that it sent to the monitor, by connection.
    """
    delivered_keys: set[tuple[str, float]] = set()
    packet_start = stream_start = 0
    for kill in kills:
        forwarded_keys = set(_forwarded_keys(forwarded_streams[stream_start : kill.stream_count]))
        recorded_keys = _reading_keys(recorded_packets[packet_start : kill.packet_count])
        while recorded_keys and recorded_keys[-1] not in forwarded_keys:
            recorded_keys.pop()  # the broker had not sent it to the monitor yet
        delivered_keys.update(forwarded_keys, recorded_keys)
        packet_start, stream_start = kill.packet_count, kill.stream_count
    delivered_keys.update(_forwarded_keys(forwarded_streams[stream_start:]))
    delivered_keys.update(_reading_keys(recorded_packets[packet_start:]))
    return [reading for reading in sent_readings if (reading.topic.decode(), reading.ts) in delivered_keys]


def _forwarded_keys(streams: list[bytearray]) -> list[tuple[str, float]]:
    return [key for stream in streams for key in _reading_keys(parse_packets(stream.copy()))]


def _reading_keys(packets: Iterable[Packet]) -> list[tuple[str, float]]:
    """Return topic and event time of the readings among packets; no two readings have the same."""
    # The monitor's MQTT 5 packets have properties before the JSON payload.
    return [
        (packet.topic, float(json.loads(packet.payload[packet.payload.index(b"{") :])["ts"]))
        for packet in packets
        if packet.topic.startswith("plant/")
    ]
