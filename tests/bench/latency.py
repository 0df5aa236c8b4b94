"""How long it takes from a reading's being published to its alert, at several rates."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.bench.config import WARM_UP, Setting
from tests.bench.measurements import Figure
from tests.bench.processes import Broker, Speaker, sender
from tests.bench.subjects import Ours, Subject, Told
from tests.bench.workload import Feed

__all__ = ["ECHO", "OURS", "echo", "ours", "quantity"]

ECHO, OURS, OURS_TENTH = "paho echo", "ours, each an alert", "ours, 1 in 10 an alert"
_RATES = (100, 1000, 5000, 10_000)
"""Readings a second."""
_SECONDS = 6
_SHARES = ("p50", "p99", "p99.9")
_GROUPS = 100
_FIRST = WARM_UP * _GROUPS
"""Messages until every window is full."""


def quantity(share: str, rate: int) -> str:
    """Return what a figure is called."""
    return f"{share} at {rate:,}/s, ms"


def echo(setting: Setting) -> list[Figure]:
    """Measure a paho client that publishes each message back."""
    return _measure(
        setting, ECHO, "echo/#",
        lambda broker, folder: Told("paho_clients", ["echo", broker.port, 1, setting.bundle, _FIRST], folder),
    )  # fmt: skip


def ours(setting: Setting) -> list[Figure]:
    """Measure the monitor where each window is an alert, and where one in ten is."""
    figures = []
    for name, faulty_groups in ((OURS, _GROUPS), (OURS_TENTH, _GROUPS // 10)):
        figures += _measure(
            setting, name, "sensor-monitor/alerts/#",
            lambda broker, folder: Ours(broker, folder, setting.bundle, 1, mode="every_window"),
            faulty_groups,
        )  # fmt: skip
    return figures


def _measure(
    setting: Setting,
    name: str,
    filter_: str,
    make: Callable[[Broker, Path], Subject],
    faulty_groups: int = _GROUPS,
) -> list[Figure]:
    folder = setting.fresh(name)
    broker = Broker(folder)
    broker.start()
    warm_up = replace(setting.feed(_FIRST, _GROUPS, qos=1, faulty_groups=faulty_groups), messages=_FIRST)
    subject = make(broker, folder)
    figures = []
    try:
        subject.start()
        with sender(broker.port, warm_up, folder) as speaker:
            speaker.tell()
            speaker.hear()
        subject.await_count(_FIRST)
        first = WARM_UP
        for rate in _RATES:
            feed = setting.feed(rate * _SECONDS, _GROUPS, qos=1, faulty_groups=faulty_groups, first=first)
            first += math.ceil(feed.messages / _GROUPS)
            subject.await_rest()
            figures += _pace(name, broker.port, feed, rate, filter_, folder)
    finally:
        subject.close()
        broker.stop()
    return figures


def _pace(name: str, port: int, feed: Feed, rate: int, filter_: str, folder: Path) -> list[Figure]:
    speaker = Speaker("latency_probe", [str(port), feed.to_json(), str(rate), filter_], folder / "pace.log")
    try:
        pace = json.loads(speaker.hear())
        speaker.wait()
    finally:
        speaker.close()
    figures = []
    for share, ms in zip(_SHARES, pace["ms"], strict=True):
        what = quantity(share, rate)
        figures.append(Figure(name, what, ms, None if name == ECHO else (ECHO, what)))
    return [*figures, Figure(name, f"unanswered at {rate:,}/s, %", 100 * pace["unheard"] / pace["due"])]
