"""A plant whose values come one by one, each on a topic of its own, with their times."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.support.processes import Client
from tests.support.toy_bundle import NAMES

SOURCES_TOML = """
[[input.sources]]
topic = "plant/{line}/{station}/{feature}"
format = "json"
[input.align]
period = 5.0
wait = 1.0
max_age = 30.0
"""
"""Sources and alignment of this plant."""

START_TS = 1_700_000_000.0
"""A sampling time."""

Value = tuple[float, str, str, float | None]
"""Event time, group, feature, value; None: the sensor has none."""


def plant_values(
    group: str, readings: Iterable[Sequence[float | None]], start: float = START_TS
) -> Iterator[Value]:
    """Yield the values of readings 5 s apart, of which each sensor sends its own shortly before."""
    for number, reading in enumerate(readings):
        for offset, (name, value) in enumerate(zip(NAMES, reading, strict=True)):
            yield start + 5 * number - 1 + offset * 0.25, group, name, value


def topic_of(value: Value) -> str:
    """Return the topic of a value."""
    return f"plant/{value[1]}/{value[2]}"


def send_values(client: Client, values: Iterable[Value]) -> None:
    """Publish values, each acknowledged before the next."""
    for value in values:
        client.publish(topic_of(value), {"value": value[3], "ts": value[0]})


def write_values(path: Path, values: Iterable[Value], delay: float | None = 0.1) -> Path:
    """Write a recording of values; return its path.

    Parameters
    ----------
    delay : seconds between event time and arrival; None: the file doesn't say when they arrived.
    """
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["ts", "topic", "group", "feature", "value", *([] if delay is None else ["arrived_at"])]
        )
        for value in values:
            ts, group, name, number = value
            arrival = [] if delay is None else [ts + delay]
            writer.writerow([ts, topic_of(value), group, name, number, *arrival])
    return path


def read_events(path: Path) -> list[dict[str, object]]:
    """Return the alert events of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]
