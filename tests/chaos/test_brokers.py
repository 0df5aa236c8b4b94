from itertools import islice
from pathlib import Path

from tests.chaos.broker_faults import Kill, kill_broker, readings_to_judge, restart_broker
from tests.chaos.raw_mqtt import PUBLISH, Packet, publish_packet
from tests.chaos.reading_generator import ReadingGenerator

SEED = 1


def test_broker_restarted(tmp_path: Path) -> None:
    """A restart of the broker loses no reading and no alert."""
    row = restart_broker(tmp_path, 3, SEED)
    assert not row.problems, row


def test_broker_killed(tmp_path: Path) -> None:
    """After a kill of the broker the monitor reconnects, and judges every reading that was delivered."""
    row = kill_broker(tmp_path, 2, SEED)
    assert not row.problems, row


def test_readings_that_died_with_the_broker() -> None:
    """A slow monitor need not judge what a killed broker had sent to the faster subscriber alone."""
    sent = list(islice(ReadingGenerator(1, SEED), 8))
    recorded = [Packet(PUBLISH, topic=reading.topic.decode(), payload=reading.payload) for reading in sent]
    packets = [publish_packet(reading.topic, reading.payload, 1) for reading in sent]
    # Killed after 6 readings: 2 were lost with the broker, the next was sent again, and 2 more followed.
    streams = [bytearray(b"".join(packets[:3])), bytearray(b"".join(packets[5:7]))]
    kills = [Kill(packet_count=6, stream_count=1)]
    assert readings_to_judge(sent, recorded, streams, kills) == [*sent[:3], *sent[5:]]
