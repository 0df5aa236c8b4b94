"""Readings with every kind of wrong time, sent through the real stages and through the reference model."""

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from monitor.core.messages import Taken
from monitor.core.readings import Readings
from monitor.detect.scoring import Chain, Verdicts
from monitor.mqtt.receive_queue import Inbox
from tests.chaos.reference_model import Model, Sent
from tests.monitor.service.pipeline_fixture import NOW, World
from tests.support.toy_bundle import NAMES, STEPS

__all__ = ["Comparison", "compare"]

_MAX_GAP, _MAX_SKEW, _STALE_AFTER = 15.0, 60.0, 60.0
_LONGEST_BATCH = 300  # messages
_LONGEST_ARRAY = 6
_HOUR = 3600.0
_PERIOD = 5.0
_BROKEN: list[Any] = [b"no JSON", b"[]", b'{"ts":1}', b"\xff", b'{"ts":"1e9"}', b"[" * 5000]

Element = tuple[float | None, tuple[float, ...] | None]
"""Event time and values of what one element of a payload should be read as; no values: unreadable."""


@dataclass
class Comparison:
    """What both made of the same readings."""

    readings: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    windows: int = 0
    differences: list[str] = field(default_factory=list)


class _Plant:
    """Groups whose clocks go as they like."""

    def __init__(self, seed: int, groups: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311, repeatable on purpose
        self.turn = 0.0
        """The monotonic clock, seconds."""
        self._jump = 0.0
        self._last = {f"g{number}": NOW for number in range(groups)}
        # A group's clock is right most of the time, or an hour or a day off, or in the year 1970.
        self._off = (0.0, 0.0, 0.0, 0.0, 100.0, _HOUR, -_HOUR, -24 * _HOUR, -NOW)

    @property
    def wall(self) -> float:
        """The wall clock: it jumps, back as well."""
        return NOW + self.turn + self._jump

    def pass_time(self, messages: int) -> None:
        """Let as much time pass as so many messages take, or enough for groups to fall silent."""
        chance = self._chance
        usual = min(_PERIOD * messages / len(self._last), _STALE_AFTER / 2)
        self.turn += usual * chance.uniform(0.5, 1.5) if chance.random() < 0.98 else chance.uniform(20, 130)
        if chance.random() < 0.1:
            self._jump = chance.choice((0.0, 0.0, 0.0, 0.0, 1.0, -1.0)) * chance.uniform(0, 2) * _HOUR

    def message(self) -> tuple[str, bytes, list[Element]]:
        """Return a topic, a payload, and what it should be read as."""
        chance = self._chance
        group = chance.choice(list(self._last))
        topic = f"p/{group}" if chance.random() < 0.99 else f"elsewhere/{group}"
        if chance.random() < 0.02:
            return topic, chance.choice(_BROKEN), [(None, None)]
        if chance.random() < 0.9:
            element, item = self._element(group)
            return topic, json.dumps(item).encode(), [element]
        pairs = [self._element(group) for _ in range(chance.randint(1, _LONGEST_ARRAY))]
        # In an array there is no arrival time to stand in for an event time.
        elements: list[Element] = [(ts, None if ts is None else values) for (ts, values), _ in pairs]
        return topic, json.dumps([item for _, item in pairs]).encode(), elements

    def _element(self, group: str) -> tuple[Element, dict[str, Any]]:
        values = tuple(round(self._chance.uniform(0, 40), 3) for _ in NAMES)
        item: dict[str, Any] = dict(zip(NAMES, values, strict=True))
        ts = self._ts(group)
        if ts is not None:
            item["ts"] = self._written(ts)
        return (ts, values), item

    def _ts(self, group: str) -> float | None:
        chance, last = self._chance, self._last[group]
        kind = chance.random()
        if kind < 0.03:
            return None
        if kind < 0.08:
            return last  # once more
        if kind < 0.16:
            return max(0.0, round(last - 5 * chance.randint(1, 4), 3))  # out of order, perhaps also once more
        if kind < 0.165:
            return self.wall + _MAX_SKEW  # just about allowed
        if kind < 0.20:
            return round(self.wall + _MAX_SKEW + chance.choice((0.01, 100, 1e6)), 3)
        if kind < 0.25:
            step = chance.choice((_MAX_GAP, _MAX_GAP + 0.001, 100.0))
        elif kind < 0.27:
            step = max(0.0, self.wall + chance.choice(self._off)) - last  # its clock is set
        else:
            step = _PERIOD
        self._last[group] = round(last + step, 3)
        return self._last[group]

    def _written(self, ts: float) -> float | int | str:
        """Return an event time in one of the ways in which it may be written."""
        kind = self._chance.random()
        if ts == round(ts, 3) and ts > 1e9:
            if kind < 0.1:
                return round(ts * 1000)
            if kind < 0.2:
                return datetime.fromtimestamp(ts, UTC).isoformat(timespec="milliseconds")
        return ts


def compare(bundle: Path, count: int, seed: int, *, groups: int = 30, stride: int = 1) -> Comparison:
    """Send `count` readings both ways, and compare outcome by outcome and window by window."""
    found = Comparison()
    world = World(bundle, max_gap=_MAX_GAP, max_skew=_MAX_SKEW, stride=stride)
    model = Model(STEPS, _MAX_GAP, _MAX_SKEW, _STALE_AFTER, stride)
    plant = _Plant(seed, groups)
    chance = random.Random(seed + 1)  # noqa: S311, repeatable on purpose
    inbox = Inbox(wall=lambda: plant.wall, monotonic=lambda: plant.turn)
    verdicts: list[Verdicts] = []
    judge = Chain.judge

    def watched(chain: Chain, readings: Readings) -> Verdicts:
        verdicts.append(judge(chain, readings))
        return verdicts[-1]

    with patch.object(Chain, "judge", watched):
        while found.readings < count and not found.differences:
            size = chance.randint(1, _LONGEST_BATCH)
            plant.pass_time(size)
            elements = _arrive(plant, inbox, chance, size)
            taken = inbox.take(0)
            world.run((plant.turn, taken))
            _check(found, model, taken, elements, verdicts, world)
    return found


def _arrive(plant: _Plant, inbox: Inbox, chance: random.Random, size: int) -> list[list[Element]]:
    elements = []
    for _ in range(size):
        topic, payload, read = plant.message()
        inbox.put([(topic, payload, None, False)])
        elements.append(read)
        if chance.random() < 0.03:  # the broker wasn't told that we have it
            inbox.put([(topic, payload, None, True)])
            elements.append(read)
    return elements


def _check(
    found: Comparison,
    model: Model,
    taken: Taken,
    batch: list[list[Element]],
    verdicts: list[Verdicts],
    world: World,
) -> None:
    """Let the model judge one batch, and note the first differences."""
    expected = []
    arrivals = zip(taken.arrivals.arrived_at.tolist(), taken.arrivals.stamps.tolist(), strict=True)
    for (topic, _, _, again), (arrived_at, stamp), elements in zip(
        taken.messages, arrivals, batch, strict=True
    ):
        group = topic.removeprefix("p/") if topic.startswith("p/") else ""
        for ts, values in elements if group else [(None, None)]:
            sent = Sent(group, ts, values, arrived_at, stamp, world.clock, again)
            expected.append(model.take(sent))
    dropped = ("unmatched", "malformed")
    real = [str(outcome) for verdict in verdicts for outcome in verdict.windows.outcomes]
    refused = [str(refusal.outcome) for refusal in world.refusals if refusal.outcome in dropped]
    _differ(found, "outcomes", [o for o in expected if o not in dropped], real)
    _differ(found, "refusals", sorted(o for o in expected if o in dropped), sorted(refused))
    windows = [(group, rows) for group, rows in model.judged]
    judged = [
        (group, list(zip(ts, map(tuple, rows), strict=True)))
        for verdict in verdicts
        for group, ts, rows in zip(
            verdict.judged.groups, verdict.judged.ts.tolist(), verdict.judged.values.tolist(), strict=True
        )
    ]
    _differ(found, "windows", windows, judged)
    assert all(np.isfinite(verdict.judged.scores).all() for verdict in verdicts)
    found.readings += len(expected)
    found.outcomes.update(expected)
    found.windows += len(windows)
    for spent in (model.judged, verdicts, world.refusals, world.sent, world.acknowledged, world.events):
        spent.clear()
    world.groups.clear()
    world.calls.clear()


def _differ(found: Comparison, what: str, expected: list[Any], real: list[Any]) -> None:
    for index, (wanted, got) in enumerate(zip(expected, real, strict=False)):
        if wanted != got:
            found.differences.append(
                f"{what} {index} after {found.readings} readings: expected {wanted}, got {got}"
            )
            return
    if len(expected) != len(real):
        found.differences.append(
            f"{what} after {found.readings} readings: expected {len(expected)}, got {len(real)}"
        )
