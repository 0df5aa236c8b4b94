"""Builds payloads from values: the reverse of reading them by a source."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from monitor.ingest.event_time import TS_UNITS, EventTimeRules
from monitor.ingest.paths import MISSING, Path
from monitor.ingest.source import Conditions, FeatureRules, Source

__all__ = ["build_number", "fill_record", "to_payload"]

# Digits of the numbers that are tried: devices send few, and float64 has no more than 17.
_MAX_DIGITS = 17
_GUESS_DIGITS = 12
# Floats next to the quotient that are tried on each side of it.
_MAX_STEPS = 4


def build_number(source: Source, rules: FeatureRules, value: float) -> bytes:
    """Return the payload of a source whose payloads are plain numbers.

    Parameters
    ----------
    value : NaN if the sensor has none.

    Raises
    ------
    ValueError : the source has no text that says so.
    """
    return (_absent_text(source) if math.isnan(value) else repr(_unscale(value, rules))).encode()


def fill_record(
    content: Any, source: Source, rules: FeatureRules, *, group: str, ts: float, value: float
) -> Any:
    """Return the content of a payload, with the value of one more feature in it.

    Parameters
    ----------
    content : what the payload has so far; None: nothing.
    value : NaN if the sensor has none.

    Raises
    ------
    ValueError : the source has no way to say that there is no value, or the value has no place.
    """
    if source.group_path is not None:
        content = _put(content, source.group_path, group)
    if source.ts_path is not None:
        content = _put(content, source.ts_path, _to_sent_time(ts, source.event_time))
    for path, accepted in _needed(source.good + rules.good):
        content = _put(content, path, accepted)
    sent: Any
    if not math.isnan(value):
        sent = _unscale(value, rules)
    else:
        sent = _absent_text(source) if source.is_partial else None
    return _put(content, rules.path, sent)


def to_payload(content: Any) -> bytes:
    """Return a content as JSON."""
    return msgspec.json.encode(content)


def _absent_text(source: Source) -> str:
    if not source.absent:
        raise ValueError("its source can't say that a sensor has no value; expected a text in absent")
    return min(source.absent)


def _needed(conditions: Conditions) -> Iterator[tuple[Path, Any]]:
    for path, accepted in conditions:
        if MISSING not in accepted:
            yield path, accepted[0]


def _put(content: Any, path: Path, value: Any) -> Any:
    """Return the content with a value at a path."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(part, int):
        elements = [] if content is None else content
        if not isinstance(elements, list):
            raise ValueError(f"its payload has no place for element {part} of an array")  # noqa: TRY004, as below
        elements += [None] * (part + 1 - len(elements))
        elements[part] = _put(elements[part], rest, value)
        return elements
    members = {} if content is None else content
    if not isinstance(members, dict):
        raise ValueError(f"its payload has no place for the key {part!r}")  # noqa: TRY004, two paths that collide
    members[part] = _put(members.get(part), rest, value)
    return members


def _unscale(value: float, rules: FeatureRules) -> float:
    """Return the number that a device sends for a value."""
    if (rules.scale, rules.offset) == (1.0, 0.0):
        return value
    guess = (value - rules.offset) / rules.scale if rules.scale else 0.0
    return _find_exact(guess, lambda number: number * rules.scale + rules.offset, value)


def _to_sent_time(ts: float, rules: EventTimeRules) -> float | str:
    """Return an event time as a source writes it."""
    if rules.format is not None:
        return datetime.fromtimestamp(ts, rules.zone).strftime(rules.format)
    if rules.unit is None:
        return ts
    per_second = TS_UNITS[rules.unit]
    return _find_exact(ts * per_second, lambda number: number / per_second, ts)


def _find_exact(guess: float, convert: Callable[[float], float], expected: float) -> float:
    """Return the number with the fewest digits near a guess that is converted to exactly what is expected.

    Rounding may leave no such number; the guess, rounded, is returned then.
    """
    steps = [guess]
    for direction in (-math.inf, math.inf):
        step = guess
        for _ in range(_MAX_STEPS):
            step = math.nextafter(step, direction)
            steps.append(step)
    rounded = [float(f"{guess:.{digits}g}") for digits in range(1, _MAX_DIGITS + 1)]
    exact = (number for number in [*rounded, *steps] if convert(number) == expected)
    return next(exact, float(f"{guess:.{_GUESS_DIGITS}g}"))
