"""A survey of messages that a simulated plant sent, and what its proposal reads of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from monitor.bundle import default_bundle, load
from monitor.cli.discover.features import known_words
from monitor.cli.discover.payloads import PayloadReader
from monitor.cli.discover.proposal import propose
from monitor.cli.discover.survey import Survey
from monitor.cli.discover.words import Words
from monitor.config.loading import load_settings
from monitor.config.settings import Settings
from monitor.core.quantities import quantity_name
from monitor.core.readings import Arrivals
from monitor.core.topics import OwnTopics
from monitor.service.settings_to_alignment import build_alignment
from monitor.service.settings_to_decoder import build_decoder
from tests.monitor.cli.discover.layouts import Layout, Message

START = 1_790_000_000.0
MANIFEST = load(default_bundle.choose_folder(None)).manifest
FEATURES = MANIFEST.feature_names


def values_of(rack: int, step: int) -> tuple[float, float, float, float]:
    """Return values by which rack, feature and step can be told."""
    base = 20 + rack + step / 10
    return round(base, 2), round(base + 30, 2), round(base + 0.53, 2), round(base + 30.57, 2)


def rounds(layout: Layout, steps: int = 6, period: float = 10.0) -> list[tuple[float, Message]]:
    """Return the messages of all racks with the times at which they come."""
    return [
        (START + step * period, message)
        for step in range(steps)
        for number, rack in enumerate(layout.racks)
        for message in layout.messages(rack, START + step * period, values_of(number, step))
    ]


def survey(messages: Iterable[tuple[float, Message]]) -> Survey:
    """Return a survey of messages."""
    found = Survey(
        PayloadReader(known_words(MANIFEST.quantities)), OwnTopics("sensor-monitor", "homeassistant")
    )
    for at, (topic, payload) in messages:
        found.add(topic, payload, retained=False, arrived_at=at, at=at - START)
    found.seconds = 60.0
    return found


def words() -> Words:
    """Return the words for the default bundle's quantities."""
    return Words(map(quantity_name, FEATURES))


def proposal(messages: Iterable[tuple[float, Message]]) -> str:
    """Return the proposed settings for messages."""
    return propose(survey(messages), words(), MANIFEST)


def read_settings(text: str, folder: Path) -> Settings:
    """Return proposed settings; fails if they aren't taken."""
    file = folder / "proposed.toml"
    file.write_text(f'bundle = ""\n{text}')
    return load_settings(file)


def read(
    text: str, messages: Sequence[tuple[float, Message]], folder: Path
) -> dict[str, dict[str, list[float]]]:
    """Return what the proposed settings read: group -> feature -> values in order.

    Fails if the settings aren't taken, or if a message is refused.
    """
    settings = read_settings(text, folder)
    decoder = build_decoder(settings, FEATURES)
    build_alignment(settings, FEATURES, MANIFEST.sample_period)
    at = np.array([time for time, _ in messages])
    inbound = [(topic, payload, None, 0) for _, (topic, payload) in messages]
    decoded = decoder.decode(inbound, Arrivals(at, at, at - START))
    assert not decoded.rejected
    found: dict[str, dict[str, list[float]]] = {}
    for row, group in enumerate(decoded.readings.groups):
        for name, value in zip(FEATURES, decoded.readings.values[row].tolist(), strict=True):
            found.setdefault(group, {}).setdefault(name, []).append(value)
        assert decoded.readings.ts[row] in at
    values = decoded.values
    if values is not None:
        for index, group in enumerate(values.groups):
            name = FEATURES[values.features[index]]
            found.setdefault(group, {}).setdefault(name, []).append(float(values.values[index]))
            assert np.abs(at - values.ts[index]).min() < 1
    return found
