"""Soak test: millions of readings of groups that appear and fall silent, while the memory must not grow."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tests.chaos.broker import Broker
from tests.chaos.harness import wait_while_progressing
from tests.chaos.memory import resident_mb
from tests.chaos.raw_mqtt import PUBACK, Connection, publish_packet
from tests.chaos.results import ResultRow
from tests.support.processes import Monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES, save_toy_bundle

__all__ = ["soak"]

_READINGS_PER_MESSAGE = 20
"""Readings are sent as arrays, because the broker isn't under test."""
_BATCH_MESSAGES = 200
"""Messages sent before waiting until they are counted, so that queued messages don't count as memory
growth."""
_MAX_MEMORY_GROWTH = 0.02
_GAPS_PER_SILENCE = 4
"""Sample periods in `stale_after`, which must not be below 3 of them."""
_SETTINGS = "[windows]\nstale_after = {stale_after}\n[input]\nmax_groups = {max_groups}\n"


def soak(
    folder: Path,
    count: int,
    seed: int,
    group_count: int = 10_000,
    stale_after: float = 2.0,
    max_growth: float = _MAX_MEMORY_GROWTH,
) -> ResultRow:
    """Send `count` readings of `group_count` groups, of which a changing random half sends at a time.

    The other groups turn silent and come back later. The monitor may hold 6 of 10 groups in memory. Between
    the first tenth of the readings and the last, its memory may grow by the share `max_growth`.
    """
    row = ResultRow(f"soak: {group_count:,} groups", 1, count)
    folder.mkdir(parents=True)
    sample_period = stale_after / _GAPS_PER_SILENCE
    save_toy_bundle(folder / "bundle", sample_period=sample_period)
    broker = Broker(folder)
    settings = _SETTINGS.format(max_groups=group_count * 6 // 10, stale_after=stale_after)
    monitor = Monitor(folder, folder / "bundle", broker.port, settings)
    try:
        broker.start()
        monitor.start_ready()
        assert monitor.process is not None
        messages = _generate_messages(group_count, sample_period, seed)
        memory_mb = []  # MiB after each tenth
        with Connection(broker.port, "soak") as connection:
            for tenth in range(1, 11):
                _send_readings(connection, messages, count // 10, monitor, count * tenth // 10)
                memory_mb.append(resident_mb(monitor.process.pid))
        outcomes = monitor.outcomes()
        evicted = monitor.metric("groups_set_aside_total")
    finally:
        monitor.kill()
        broker.stop()
    growth = memory_mb[-1] / memory_mb[0] - 1
    row.notes.append(
        f"memory after each tenth {', '.join(f'{mb:.1f}' for mb in memory_mb)} MiB ({growth:+.1%}); "
        f"{evicted:.0f} times a group was set aside; {outcomes}"
    )
    if sum(outcomes.values()) != count or outcomes.keys() - {"filling", "judged", "gap"}:
        row.failures.append(f"outcomes {outcomes} of {count}")
    if growth > max_growth:
        row.failures.append(f"memory grew by {growth:.1%}")
    return row


def _generate_messages(group_count: int, sample_period: float, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield topics and payloads without end; the event times of each group continue where they stopped."""
    rng = random.Random(seed)  # noqa: S311, repeatable on purpose
    rounds = [0] * group_count
    group_order = list(range(group_count))
    while True:
        rng.shuffle(group_order)
        # A random half of the groups sends for two rounds, then another random half.
        for _ in range(2):
            for group in group_order[: group_count // 2]:
                start = 1e9 + sample_period * _READINGS_PER_MESSAGE * rounds[group]
                rounds[group] += 1
                faulty = rng.random() < 0.02
                yield f"plant/line/s{group}/reading".encode(), _payload(start, sample_period, faulty=faulty)


def _payload(start_ts: float, sample_period: float, *, faulty: bool) -> bytes:
    """Return an array of readings; if `faulty`, the eleventh of them is faulty."""
    parts = []
    for number in range(_READINGS_PER_MESSAGE):
        values = FAULTY if faulty and number == _READINGS_PER_MESSAGE // 2 else HEALTHY
        fields = ",".join(f'"{name}":{value}' for name, value in zip(NAMES, values, strict=True))
        parts.append(f'{{"ts":{start_ts + sample_period * number},{fields}}}')
    return f"[{','.join(parts)}]".encode()


def _send_readings(
    connection: Connection,
    messages: Iterator[tuple[bytes, bytes]],
    count: int,
    monitor: Monitor,
    total_sent: int,
) -> None:
    """Send `count` readings in batches, each after the monitor has counted all earlier ones.

    `total_sent` is the number of readings that have been sent at the end, with those of earlier calls.
    """

    def outcome_count() -> int:
        return sum(monitor.outcomes().values())

    sent = total_sent - count
    while sent < total_sent:
        batch = list(islice(messages, min(_BATCH_MESSAGES, (total_sent - sent) // _READINGS_PER_MESSAGE)))
        connection.send(b"".join(publish_packet(*message, number) for number, message in enumerate(batch, 1)))
        sent += len(batch) * _READINGS_PER_MESSAGE
        unacked = len(batch)
        while unacked:
            unacked -= sum(packet.packet_type == PUBACK for packet in connection.receive())
        wait_while_progressing(lambda: outcome_count() >= sent, outcome_count, "all readings are counted")  # noqa: B023
