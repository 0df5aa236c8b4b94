"""Faults of a plant whose sensors have a topic each: one value a message, aligned into readings."""

import itertools
import random
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from monitor import bundle
from monitor.config.settings import Settings, StoreSettings
from monitor.core.messages import InboundMessage
from monitor.core.readings import Arrivals
from monitor.core.verdicts import AlertEvent
from monitor.groups.state import GroupStates
from monitor.publish.own_messages import OwnMessages
from monitor.service.settings_to_alignment import adapt_bundle, build_alignment
from monitor.service.settings_to_decoder import build_decoder
from monitor.service.settings_to_stages import build_scoring
from monitor.storage.restore import restore
from tests.chaos.harness import Harness, split_by_mode
from tests.chaos.load_generator import LoadGenerator
from tests.chaos.reading_generator import Reading, ReadingGenerator
from tests.chaos.results import ResultRow
from tests.support.toy_bundle import NAMES

__all__ = ["disturb_plant_of_values"]

# `wait` is longer than any fault: the clock must not decide what an undisturbed monitor would wait for.
_SETTINGS = """
[[input.sources]]
topic = "plant/{line}/{station}/{feature}"
[input.align]
wait = 60.0
"""
_GROUP_COUNT = 50
_RATE = 4000.0
"""Values a second."""
_BATCH_SIZE = 4096
_OTHER_FAULTS_EVERY, _CUT, _RESTART = 5, 1, 2
"""Of so many kills one is followed by a cut connection, and another by a restart of the broker: which."""


@dataclass(frozen=True, slots=True)
class SensorValue(Reading):
    """One value of a reading, as a message of its own."""

    feature: int

    @property
    def topic(self) -> bytes:
        """Return the topic that it is published on."""
        return f"plant/{self.group}/{NAMES[self.feature]}".encode()

    @property
    def payload(self) -> bytes:
        """Return value and event time as JSON."""
        return f'{{"value":{self.values[self.feature]},"ts":{self.ts}}}'.encode()


class ValueGenerator(ReadingGenerator):
    """The readings of all groups as single values: those of each round of readings in random order."""

    def __init__(self, group_count: int, seed: int) -> None:
        super().__init__(group_count, seed, spread_s=0.0)  # so that event times are sampling times
        self._group_count = group_count
        self._order = random.Random(seed)  # noqa: S311, repeatable on purpose

    def __iter__(self) -> Iterator[Reading]:
        """Yield the values."""
        readings = super().__iter__()
        while True:
            yield from self._split(itertools.islice(readings, self._group_count))

    def final_readings(self) -> list[Reading]:
        """Return the values of healthy readings of all groups, after which no incident is open."""
        return [value for reading in super().final_readings() for value in self._split([reading])]

    def _split(self, readings: Iterable[Reading]) -> list[Reading]:
        values: list[Reading] = [
            SensorValue(reading.group, reading.ts, reading.values, feature)
            for reading in readings
            for feature in range(len(NAMES))
        ]
        self._order.shuffle(values)
        return values


class ValueHarness(Harness):
    """A scenario's setup for a plant of values."""

    def __init__(self, folder: Path, seed: int, mode: str) -> None:
        super().__init__(folder, seed, mode, settings=_SETTINGS, use_proxy=True)
        generator = ValueGenerator(_GROUP_COUNT, seed)
        self.load_generator = LoadGenerator(self.broker.port, generator, _RATE)
        self._expected = self._build_groups()
        """The state of all groups, had nothing been disturbed."""

    def finish(self) -> ResultRow:
        """Compare events and final states, see `Harness.finish`."""
        row = super().finish()
        stored = self._build_groups()
        store = restore(
            StoreSettings(path=self.folder / "state.db"),
            stored,
            NAMES,
            3,
            is_own_message=OwnMessages("homeassistant").include,
            max_groups=1000,
            now=0.0,
        )
        store.close()
        expected = self._expected
        lost = [group for group in expected.names() if _state(stored, group) != _state(expected, group)]
        if lost:
            row.failures.append(f"{len(lost)} of {len(expected)} groups have lost values: {lost[0]}")
        return row

    def expected_events(self, sent: Iterable[Reading]) -> list[AlertEvent]:
        """Return the events of the values that were sent, aligned in one piece."""
        groups, events = self._expected, []
        decoder = build_decoder(self._read_settings(), NAMES)
        messages: list[InboundMessage] = [(value.topic.decode(), value.payload, None, 0) for value in sent]
        now = time.time()
        for start in range(0, len(messages), _BATCH_SIZE):
            batch = messages[start : start + _BATCH_SIZE]
            wall, monotonic = np.full(len(batch), now), np.zeros(len(batch))
            decoded = decoder.decode(batch, Arrivals(wall, wall, monotonic))
            assert not decoded.rejected_values, decoded.rejected_values[0]
            assert decoded.values is not None
            aligned = groups.align(decoded.values, 0.0, 0.0)
            assert aligned is not None
            scored = groups.judge(aligned.readings, 0.0)
            groups.update_statuses(aligned.readings, scored, 0.0)
            groups.learn_pending(scored)
            events += scored.events
        return events

    def _read_settings(self) -> Settings:
        return Settings.model_validate({"bundle": str(self.bundle), **tomllib.loads(self.settings)})

    def _build_groups(self) -> GroupStates:
        settings, loaded = adapt_bundle(self._read_settings(), bundle.load(self.bundle))
        manifest = loaded.manifest
        return GroupStates(
            build_scoring(loaded, settings.windows, settings.alerts),
            1e9,
            build_alignment(settings, manifest.feature_names, manifest.sample_period),
        )


def _state(groups: GroupStates, group: str) -> tuple[bytes, bytes]:
    """Return a group's window, and its held and pending values."""
    parts = msgspec.msgpack.decode(groups.dump(group) or b"\x80")  # nothing: an empty map
    return parts.get("windows", b""), parts.get("alignment", b"")


def disturb_plant_of_values(folder: Path, count: int, seed: int) -> ResultRow:
    """Kill the monitor `count` times under load; at times cut its connection, too, or restart the broker."""
    total = ResultRow("one value a message: monitor killed, connection cut, broker restarted", count)
    numbers = itertools.count()
    for mode, repetitions in split_by_mode(count):
        with ValueHarness(folder / mode, seed, mode) as harness:
            assert harness.proxy is not None
            harness.load_generator.start()
            for number in itertools.islice(numbers, repetitions):
                harness.wait_random(0.1, 1.0)
                harness.monitor.kill()
                harness.monitor.start()
                if number % _OTHER_FAULTS_EVERY == _CUT:
                    harness.wait_ready()
                    harness.proxy.disconnect_all()
                elif number % _OTHER_FAULTS_EVERY == _RESTART:
                    harness.wait_ready()
                    harness.broker.stop()
                    harness.broker.start()
            total.add(harness.finish())
    return total
