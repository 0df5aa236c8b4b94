"""Readings that look like a real plant's, for tests and pictures of the page."""

import random
from collections.abc import Iterator
from math import cos, sin

from tests.support.toy_bundle import NAMES

__all__ = ["generate_readings", "group_name"]

_PERIOD_S = 5.0  # seconds between two readings of a group
_READINGS_PER_GROUP = 62


def group_name(number: int) -> str:
    """Return the name of a group."""
    return f"line{number // 10 + 1}/station{number % 10 + 1}"


def generate_readings(
    group_count: int,
    end_ts: float,
    faulty_groups: tuple[int, ...] = (),
    out_of_range_groups: tuple[int, ...] = (),
) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Yield the topic of each group with five minutes of its readings.

    Parameters
    ----------
    end_ts : event time of the last reading, seconds since the Unix epoch.
    faulty_groups : numbers of the groups whose temperatures differ by 8 degC or more in their last readings.
    out_of_range_groups : numbers of the groups whose last two readings are 60 degC warmer than all others.
    """
    rng = random.Random(0)  # noqa: S311, noise and no secrets
    for number in range(group_count):
        readings = []
        for step in range(_READINGS_PER_GROUP):
            temperature = 21 + 3 * sin(1.7 * number) + 1.5 * sin(step / 17 + number)
            humidity = 50 + 8 * cos(number) + 3 * sin(step / 23 + 2 * number)
            values = [
                temperature + rng.gauss(0, 0.05),
                humidity + rng.gauss(0, 0.2),
                temperature + 0.3 + rng.gauss(0, 0.05),
                humidity - 0.6 + rng.gauss(0, 0.2),
            ]
            if number in faulty_groups and step >= _READINGS_PER_GROUP - 6 - number % 7:
                values[2] += 8 + number % 5
            if number in out_of_range_groups and step >= _READINGS_PER_GROUP - 2:
                values[0], values[2] = values[0] + 60, values[2] + 60
            ts = end_ts - (_READINGS_PER_GROUP - 1 - step) * _PERIOD_S
            readings.append({"ts": ts, **{name: round(v, 2) for name, v in zip(NAMES, values, strict=True)}})
        yield f"plant/{group_name(number)}/reading", readings
