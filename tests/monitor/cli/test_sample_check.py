"""`check --sample`: what one message would become."""

import json
import time
from pathlib import Path

import pytest

from monitor.cli.main import main
from tests.support.toy_bundle import HEALTHY, NAMES

RACK = "zigbee2mqtt/r1_top"
SOURCES = """
[[input.sources]]
topic = "zigbee2mqtt/{rack}_top"
features = {temperature_1 = "temperature", humidity_1 = "humidity"}
ts = "last_seen"
[[input.sources]]
topic = "{node}/sensor/{feature}/state"
format = "number"
features = {temperature_2 = "bottom_temperature", humidity_2 = "bottom_humidity"}
"""


def _check(
    folder: Path, bundle: Path, payload: object, topic: str, settings: str = "", base: str = ""
) -> int:
    config, sample = folder / "monitor.toml", folder / "sample"
    config.write_text(f'bundle = "{bundle}"\n{base}{settings}')
    sample.write_bytes(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return main(["check", "--config", str(config), "--sample", str(sample), "--topic", topic])


def test_values_of_a_source(tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The source that reads it, the group, the values, the time in UTC and its age, and what is missing."""
    payload = {"temperature": 21.4, "humidity": None, "last_seen": "2026-01-01T01:00:00+01:00"}
    assert _check(tmp_path, toy_bundle, payload, "zigbee2mqtt/r1_top", SOURCES) == 0
    output = capsys.readouterr().out
    assert "input.sources.0 (zigbee2mqtt/{rack}_top, json):\n  group r1\n    temperature_1 21.4" in output
    assert "humidity_1 absent" in output
    assert "ts 2026-01-01T00:00:00.000Z, " in output
    assert " ago" in output
    assert "nothing here of temperature_2, humidity_2: other messages must bring them" in output


def test_reading_of_the_short_form(
    tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message with all features is shown as a reading."""
    payload = {"ts": 1000, **dict(zip(NAMES, HEALTHY, strict=True))}
    assert _check(tmp_path, toy_bundle, payload, "plant/a/b/reading") == 0
    output = capsys.readouterr().out
    assert "input.topics (plant/{line}/{station}/reading, json):\n  group a/b\n" in output
    assert all(f"    {name} {value:g}" in output for name, value in zip(NAMES, HEALTHY, strict=True))
    assert "ts 1970-01-01T00:16:40.000Z" in output


def test_plain_number_has_no_time(
    tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message without event time says so."""
    assert _check(tmp_path, toy_bundle, b"21.5", "esp/sensor/bottom_temperature/state", SOURCES) == 0
    output = capsys.readouterr().out
    assert "group esp\n    temperature_2 21.5" in output
    assert "ts none: it counts as measured when it comes" in output


@pytest.mark.parametrize(
    ("payload", "topic", "expected"),
    [
        ({"temperature": "21", "humidity": 3}, RACK, "$.temperature is '21', a number in quotes"),
        ({"hum": 3}, RACK, "malformed: $.temperature is missing; expected a number"),
        (b"on", "esp/sensor/bottom_humidity/state", "malformed: $.value is 'on'; expected a number"),
        (b"3", "esp/sensor/wifi/state", "unmatched: the topic names a feature that is not in features"),
        (b"3", "else/where", "unmatched: the topic fits no template of input.sources"),
        (lambda: {"temperature": 1, "humidity": 3, "last_seen": time.time() + 7200}, RACK, "or 2 h: local"),
    ],
)  # fmt: skip
def test_refusals(
    tmp_path: Path, toy_bundle: Path, payload: object, topic: str, expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The reason of a refusal has the field's path; without anything usable the exit code is 1."""
    payload = payload() if callable(payload) else payload  # the time is that of the test
    is_partly_usable = payload == {"temperature": "21", "humidity": 3}
    assert _check(tmp_path, toy_bundle, payload, topic, SOURCES) == (0 if is_partly_usable else 1)
    captured = capsys.readouterr()
    assert expected in captured.out
    assert ("nothing in it is usable" in captured.err) != is_partly_usable


def test_refused_reading(tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The short form names the field, too."""
    payload = {"ts": 1000, **dict(zip(NAMES, HEALTHY, strict=True)), "humidity_2": "x"}
    assert _check(tmp_path, toy_bundle, payload, "plant/a/b/reading") == 1
    assert "$.humidity_2" in capsys.readouterr().out


def test_own_topics_are_not_read(
    tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A topic that the monitor publishes on is never read, and the command says so."""
    sources = SOURCES.replace("zigbee2mqtt/{rack}_top", "{a}/{b}")
    assert _check(tmp_path, toy_bundle, {"temperature": 1, "humidity": 3}, "sensor-monitor/x", sources) == 1
    assert "the monitor publishes on this topic itself" in capsys.readouterr().out


def test_wrong_usage(tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sample without a topic, a topic with wildcards, and a file that isn't there: exit code 2."""
    assert main(["check", "--sample", "x"]) == 2
    assert "--sample and --topic go together" in capsys.readouterr().err
    assert _check(tmp_path, toy_bundle, b"1", "a/+") == 2
    assert "--topic: 'a/+' is no topic" in capsys.readouterr().err
    assert main(["check", "--bundle", str(toy_bundle), "--sample", str(tmp_path / "no"), "--topic", "a"]) == 2
    assert "can't be read: No such file" in capsys.readouterr().err
