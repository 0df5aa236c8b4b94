"""How much each subject takes when it comes flat out, and what that costs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tests.bench.config import WARM_UP, Setting
from tests.bench.measurements import Figure
from tests.bench.processes import Broker, sender
from tests.bench.subjects import MosquittoSub, Ours, OursByLine, Subject, Told
from tests.bench.workload import Feed

__all__ = [
    "CPU",
    "MESSAGES",
    "READY",
    "RESIDENT",
    "WINDOWS",
    "flood_ceiling",
    "flood_lines",
    "flood_ours",
    "flood_rival",
    "flood_sub",
    "paho",
]

MESSAGES = "messages/s"
WINDOWS = "windows/s"
CPU = "CPU s a million"
RESIDENT = "resident MiB"
READY = "start to ready, s"
_PEAK = "peak MiB under the flood"
_DROPPED = "dropped, %"
_HANDFUL = 5000
"""Messages of the monitor's warm-up under way at a time: few enough to find room, and for memory's sake."""

S = TypeVar("S", bound=Subject)


@dataclass(frozen=True, slots=True)
class _Flood:
    """How one went."""

    ready: float
    """Seconds from the start of the process to its being subscribed."""
    resident: float
    """MiB, after the warm-up."""
    seconds: float
    """From the first message sent to the last one dealt with."""
    cpu: float
    """Seconds that the subject computed in them."""


def paho(qos: int) -> str:
    """Return what the subject is called that throughput is compared with."""
    return f"bare paho, QoS {qos}"


def flood_rival(
    setting: Setting, name: str, kind: str, messages: int, *, qos: int = 0, groups: int = 1000
) -> list[Figure]:
    """Flood one of `rivals.KINDS`."""
    feed = setting.feed(messages, groups, qos=qos, first=WARM_UP)
    warm_up = replace(feed, messages=WARM_UP * groups, first=0, qos=1)
    totals = [warm_up.messages, warm_up.messages + feed.messages]
    with _flooded(
        setting.fresh(name), warm_up, feed,
        lambda broker, folder: Told("paho_clients", [kind, broker.port, qos, setting.bundle, *totals], folder),
    ) as (_, flood):  # fmt: skip
        return _figures(name, MESSAGES, feed.messages, flood, feed)


def flood_sub(setting: Setting, name: str, messages: int) -> list[Figure]:
    """Flood mosquitto_sub, which has no use for a warm-up."""
    feed = setting.feed(messages)
    with _flooded(
        setting.fresh(name), None, feed, lambda broker, _: MosquittoSub(broker, feed.qos, feed.messages)
    ) as (_, flood):
        return _figures(name, MESSAGES, feed.messages, flood, feed)


def flood_ceiling(setting: Setting, name: str, messages: int) -> list[Figure]:
    """Flood what only counts bytes: as fast as broker and machine can be."""
    feed = setting.feed(messages)
    size = sum(map(len, feed.packets()))
    with _flooded(
        setting.fresh(name), None, feed, lambda broker, folder: Told("raw_subscriber", [broker.port, size], folder)
    ) as (_, flood):
        return _figures(name, MESSAGES, feed.messages, flood, feed)


def flood_ours(
    setting: Setting, name: str, messages: int, *, qos: int = 0, groups: int = 1000, array: int = 1
) -> list[Figure]:
    """Flood the monitor, once each group has been judged and its state is published."""
    feed = setting.feed(messages, groups, qos=qos, array=array, first=WARM_UP)
    return _judged(
        setting, name, feed, lambda broker, folder: Ours(broker, folder, setting.bundle, qos, array=array)
    )


def flood_lines(setting: Setting, name: str, messages: int, *, groups: int = 1000) -> list[Figure]:
    """Flood several monitors, each of which has a line of the plant."""
    feed = setting.feed(messages, groups, first=WARM_UP)
    return _judged(setting, name, feed, lambda broker, folder: OursByLine(broker, folder, setting.bundle))


def _judged(
    setting: Setting, name: str, feed: Feed, make: Callable[[Broker, Path], Ours | OursByLine]
) -> list[Figure]:
    groups = feed.groups
    warm_up = replace(feed, messages=groups, array=WARM_UP, first=0, qos=1)
    with _flooded(setting.fresh(name), warm_up, feed, make) as (subject, flood):
        judged = subject.judged()
        return [
            *_figures(name, WINDOWS, judged, flood, feed),
            Figure(name, _PEAK, subject.peak_mb()),
            Figure(name, _DROPPED, 100 * (1 - judged / feed.readings)),
        ]


def _figures(name: str, what: str, count: int, flood: _Flood, feed: Feed) -> list[Figure]:
    base = paho(feed.qos)
    return [
        Figure(name, what, count / flood.seconds, (base, MESSAGES)),
        Figure(name, CPU, flood.cpu / feed.readings * 1e6, (base, CPU)),
        Figure(name, RESIDENT, flood.resident, (base, RESIDENT)),
        Figure(name, READY, flood.ready, (base, READY)),
    ]


@contextmanager
def _flooded(
    folder: Path, warm_up: Feed | None, feed: Feed, make: Callable[[Broker, Path], S]
) -> Iterator[tuple[S, _Flood]]:
    """Start a subject, warm it up, and flood it; it ends with the context."""
    broker = Broker(folder)
    broker.start()
    subject = make(broker, folder)
    try:
        began = time.monotonic()
        subject.start()
        ready = time.monotonic() - began
        before = _warm_up(broker.port, subject, warm_up, folder) if warm_up else 0
        with sender(broker.port, feed, folder) as speaker:
            subject.await_rest()
            resident, computed = subject.resident_mb(), subject.cpu_seconds()
            speaker.tell()
            sent = float(speaker.hear())
            ended = subject.await_count(before + feed.readings)
            flood = _Flood(ready, resident, ended - sent, subject.cpu_seconds() - computed)
        yield subject, flood
    finally:
        subject.close()
        broker.stop()


def _warm_up(port: int, subject: Subject, feed: Feed, folder: Path) -> int:
    """Send a feed by handfuls, each when the last one is dealt with; return how many readings that were."""
    handful = _HANDFUL if isinstance(subject, Ours | OursByLine) else feed.messages
    with sender(port, feed, folder, handful) as speaker:
        for sent in range(0, feed.messages, handful):
            speaker.tell()
            speaker.hear()
            subject.await_count(min(sent + handful, feed.messages) * feed.array)
    return feed.readings
