import csv
from pathlib import Path
from random import Random

import msgspec
import numpy as np

from monitor import bundle
from monitor.cli.backtest.runner import backtest
from monitor.cli.recorded_rows import ReadingRows, RowConverter, ValueRows
from monitor.cli.recording_file import RecordingFile
from monitor.config.loading import load_settings
from monitor.config.settings import Settings
from monitor.core.messages import RETAIN_FLAG, InboundMessage, MessageBatch
from monitor.core.readings import Arrivals
from monitor.recordings.values import open_recording
from monitor.service.settings_to_alignment import build_alignment
from monitor.service.settings_to_decoder import build_decoder
from monitor.service.settings_to_recordings import build_value_decoder
from tests.support.toy_bundle import HEALTHY, NAMES
from tests.support.value_plant import SOURCES_TOML, START_TS

MIXED_TOML = f"""
[[input.sources]]
topic = "whole/{{group}}"
{SOURCES_TOML}
[windows]
stale_after = 1e6
"""


def mixed_settings(folder: Path) -> Settings:
    """Return settings with a source of readings and one of single values."""
    config = folder / "mixed.toml"
    config.write_text(MIXED_TOML)
    return load_settings(config)


def message(topic: str, flags: int = 0, **content: object) -> InboundMessage:
    """Return a message with a JSON object."""
    return topic, msgspec.json.encode(content), None, flags


def batch(messages: list[InboundMessage], now: float) -> MessageBatch:
    """Return a batch of messages that arrived at `now`, by both clocks."""
    at = np.full(len(messages), now)
    return MessageBatch(messages, Arrivals(at, at + 1e-6 * np.arange(len(at)), at), 0, now)


def readings_converter(settings: Settings) -> ReadingRows:
    """Return what `record` uses without `--raw`."""
    alignment = build_alignment(settings, NAMES, 5.0)
    return ReadingRows(build_decoder(settings, NAMES), alignment, NAMES, settings.windows.max_skew)


def raw_converter(settings: Settings) -> ValueRows:
    """Return what `record --raw` uses."""
    return ValueRows(build_value_decoder(settings, NAMES), NAMES)


def test_raw_rows(tmp_path: Path) -> None:
    """Raw rows are the values in the order of arrival, those of a record with all features among them."""
    recorded = raw_converter(mixed_settings(tmp_path)).convert(
        batch(
            [
                message("whole/a", ts=5, **dict(zip(NAMES, HEALTHY, strict=True))),
                message("plant/l/s/humidity_2", value=None, ts=6.5),
                message("plant/l/s/humidity_1", RETAIN_FLAG, value=1, ts=7),
                message("plant/l/s/humidity_1", value="x"),
                message("plant/l/s/humidity_1", value=2),
            ],
            now=100.0,
        )
    )
    assert recorded.rows == [
        *[[5, "whole/a", "a", name, value, 100, None] for name, value in zip(NAMES, HEALTHY, strict=True)],
        [6.5, "plant/l/s/humidity_2", "l/s", "humidity_2", None, 100, None],
        [7, "plant/l/s/humidity_1", "l/s", "humidity_1", 1, 100, 1],
        [100 + 4e-6, "plant/l/s/humidity_1", "l/s", "humidity_1", 2, 100 + 4e-6, None],
    ]
    assert [value.outcome for value in recorded.rejected_values] == ["malformed"]


def test_stale_sampling_times_are_counted(tmp_path: Path) -> None:
    """A sampling time without a reading is counted, with the features that were stale in the reason."""
    converter = readings_converter(mixed_settings(tmp_path))
    converter.convert(batch([message("plant/l/s/humidity_1", value=1, ts=START_TS)], now=START_TS))
    assert converter.undecided_count == 1
    recorded = converter.convert(batch([], now=START_TS + 1))
    assert (recorded.rows, recorded.stale_count, converter.undecided_count) == ([], 1, 0)
    assert "temperature_1, temperature_2, humidity_2" in recorded.stale[0].reason


def test_backtest_of_raw_rows_gives_the_recorded_readings(tmp_path: Path, toy_bundle: Path) -> None:
    """Whatever arrives when, `backtest` of the raw rows gives the readings that `record` writes."""
    random = Random(22)  # noqa: S311 - no secret
    settings = mixed_settings(tmp_path)
    converters: dict[str, RowConverter] = {
        "readings": readings_converter(settings),
        "raw": raw_converter(settings),
    }
    files = {name: RecordingFile(tmp_path / f"{name}.csv") for name in converters}
    for name, file in files.items():
        file.append([converters[name].header])
    now = START_TS
    for number in range(1500):
        now += random.choice([0.0, 0.1, 0.4, 2.0])
        messages = [_random_message(random, now) for _ in range(random.choice([0, 1, 1, 3]))]
        if number == 1499:  # so that both know the same time
            messages = [message("plant/at/end/humidity_1", value=1, ts=now)]
        for name, converter in converters.items():
            if rows := converter.convert(batch(messages, now)).rows:
                files[name].append(rows)
    for file in files.values():
        file.close(keep=True)
    recording = open_recording(tmp_path / "raw.csv")
    backtest(bundle.load(toy_bundle), settings, recording, tmp_path / "scores.csv", None)
    scores = [row for row in _read(tmp_path / "scores.csv") if row[2] not in {"duplicate", "late", "future"}]
    expected = _read(tmp_path / "readings.csv")
    assert len(expected) > 200
    assert sorted(row[:2] for row in scores) == sorted(row[:2] for row in expected)


def _random_message(random: Random, now: float) -> InboundMessage:
    ts = now - random.choice([0.0, 0.3, 0.9, 2.0, 7.0])
    if random.random() < 0.2:
        reading = {name: random.choice([20, 20, 20, None]) for name in NAMES}
        return message(f"whole/{random.choice('ab')}", ts=ts, **reading)
    topic = f"plant/l/{random.choice('st')}/{random.choice(NAMES)}"
    return message(topic, value=random.choice([1, 2, 3, 4, None]), ts=ts)


def _read(path: Path) -> list[list[str]]:
    """Return the rows after the header."""
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]
