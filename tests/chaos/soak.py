"""Readings without end, of groups that come and go: memory stays where it is."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tests.chaos.broker import Broker
from tests.chaos.harness import await_progress
from tests.chaos.memory import resident_mb
from tests.chaos.raw_mqtt import PUBACK, Link, publish
from tests.chaos.results import Row
from tests.support.processes import Monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES, save_toy_bundle

__all__ = ["soak"]

_READINGS_A_MESSAGE = 20
"""An array: the broker is not what is being tried."""
_HANDFUL = 200
"""Messages under way at a time, so that what is measured isn't how much happened to wait."""
_MOST_GROWTH = 0.02
_SETTINGS = "[windows]\nstale_after = {stale_after}\n[input]\nmax_groups = {most}\n"


def soak(
    folder: Path,
    count: int,
    seed: int,
    groups: int = 10_000,
    stale_after: float = 2.0,
    most_growth: float = _MOST_GROWTH,
) -> Row:
    """Send `count` readings of so many groups, half of which speak at a time and others from time to time.

    Those that pause turn silent and come back; the monitor may hold fewer than there are. From the first
    tenth on its memory may grow by `most_growth` of what it was then.
    """
    row = Row(f"soak: {groups:,} groups", 1, count)
    folder.mkdir(parents=True)
    save_toy_bundle(folder / "bundle")
    broker = Broker(folder)
    settings = _SETTINGS.format(most=groups * 6 // 10, stale_after=stale_after)
    monitor = Monitor(folder, folder / "bundle", broker.port, settings)
    try:
        broker.start()
        monitor.start_ready()
        assert monitor.process is not None
        messages = _messages(groups, seed)
        memory = []  # MiB after each tenth
        with Link(broker.port, "soak") as link:
            for tenth in range(1, 11):
                _send(link, messages, count // 10, monitor, count * tenth // 10)
                memory.append(resident_mb(monitor.process.pid))
        outcomes = monitor.outcomes()
        aside = monitor.metric("groups_set_aside_total")
    finally:
        monitor.kill()
        broker.stop()
    growth = memory[-1] / memory[0] - 1
    row.notes.append(
        f"memory after each tenth {', '.join(f'{mb:.1f}' for mb in memory)} MiB ({growth:+.1%}); "
        f"{aside:.0f} times a group was set aside; {outcomes}"
    )
    if sum(outcomes.values()) != count or outcomes.keys() - {"filling", "judged", "gap"}:
        row.broken.append(f"outcomes {outcomes} of {count}")
    if growth > most_growth:
        row.broken.append(f"memory grew by {growth:.1%}")
    return row


def _messages(groups: int, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield topics and payloads, each group's event times going on where they stopped."""
    chance = random.Random(seed)  # noqa: S311, repeatable on purpose
    rounds = [0] * groups
    speaking = list(range(groups))
    while True:
        chance.shuffle(speaking)
        # Half of them speak for a few rounds, then it is another half.
        for _ in range(2):
            for group in speaking[: groups // 2]:
                start = 1e9 + 5 * _READINGS_A_MESSAGE * rounds[group]
                rounds[group] += 1
                faulty = chance.random() < 0.02
                yield f"plant/line/s{group}/reading".encode(), _payload(start, faulty=faulty)


def _payload(start: float, *, faulty: bool) -> bytes:
    """Return an array of readings; in one of a faulty message, the eleventh is Faulty."""
    parts = []
    for number in range(_READINGS_A_MESSAGE):
        values = FAULTY if faulty and number == _READINGS_A_MESSAGE // 2 else HEALTHY
        fields = ",".join(f'"{name}":{value}' for name, value in zip(NAMES, values, strict=True))
        parts.append(f'{{"ts":{start + 5 * number},{fields}}}')
    return f"[{','.join(parts)}]".encode()


def _send(
    link: Link, messages: Iterator[tuple[bytes, bytes]], count: int, monitor: Monitor, total: int
) -> None:
    """Send so many readings, each handful when the last one is counted, until `total` are."""

    def counted() -> int:
        return sum(monitor.outcomes().values())

    sent = total - count
    while sent < total:
        handful = list(islice(messages, min(_HANDFUL, (total - sent) // _READINGS_A_MESSAGE)))
        link.send(b"".join(publish(*message, number) for number, message in enumerate(handful, 1)))
        sent += len(handful) * _READINGS_A_MESSAGE
        unconfirmed = len(handful)
        while unconfirmed:
            unconfirmed -= sum(packet.kind == PUBACK for packet in link.receive())
        await_progress(lambda: counted() >= sent, counted, "all is counted")  # noqa: B023
