import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.cli.main import main
from monitor.cli.replayed_messages import ReplayedMessage
from monitor.cli.value_messages import ValueMessages
from monitor.config.loading import load_settings
from monitor.core.errors import RecordingError
from monitor.recordings.values import ValueRecording, open_recording
from tests.conftest import Mosquitto, wait_until
from tests.support.processes import connect_client
from tests.support.toy_bundle import NAMES

FAST_SETTINGS = hypothesis_settings(derandomize=True, deadline=None, max_examples=150)
NUMBER_TOML = """
[[input.sources]]
topic = "{node}/{feature}/state"
format = "number"
features = {temperature_1 = "tt", humidity_1 = {path = "th", scale = 0.1, offset = -0.5}}
absent = ["unavailable"]
"""
PATHS_TOML = """
[[input.sources]]
topic = "tele/{rack}/SENSOR"
ts = "Time"
ts_unit = "ms"
group = "$.rack.name"
good = {"status.0" = ["ok", "fine"]}
features = {temperature_1 = ["SHT3X-0x44", "t.1"], temperature_2 = ["probes", 1, "t"]}
"""
RECORDS_TOML = """
[[input.sources]]
topic = "gateway"
format = "records"
key = "id"
group = "line1"
"""


def build(folder: Path, toml: str, *rows: str) -> list[ReplayedMessage]:
    """Return the messages of a recording with these rows of ts, topic, group, feature, value, arrived_at."""
    file, config = folder / "values.csv", folder / "replay.toml"
    file.write_text("\n".join(["ts,topic,group,feature,value,arrived_at", *rows]) + "\n")
    config.write_text(toml)
    recording = open_recording(file)
    assert isinstance(recording, ValueRecording)
    messages = ValueMessages(recording, load_settings(config))
    messages.check()
    return list(messages)


def test_plain_numbers(tmp_path: Path) -> None:
    """Each value of a source of plain numbers is a message: what the device sent, before scale and offset."""
    messages = build(
        tmp_path,
        NUMBER_TOML,
        "5,n1/tt/state,n1,temperature_1,21.4,5",
        "5,n1/th/state,n1,humidity_1,51.3,5",
        "6,n1/tt/state,n1,temperature_1,,6",
    )
    assert messages == [
        (5, "n1/tt/state", b"21.4"),
        (5, "n1/th/state", b"518.0"),
        (6, "n1/tt/state", b"unavailable"),
    ]


def test_object_of_one_value(tmp_path: Path) -> None:
    """A value with a topic of its own is an object with its own event time; absent is null."""
    toml = '[[input.sources]]\ntopic = "plant/{group}/{feature}"\n'
    messages = build(
        tmp_path,
        toml,
        "5.5,plant/a/temperature_1,a,temperature_1,20,7",
        "6,plant/a/humidity_1,a,humidity_1,,8.5",
    )
    assert [(message.sent_at, message.topic) for message in messages] == [
        (7, "plant/a/temperature_1"),
        (8.5, "plant/a/humidity_1"),
    ]
    assert [json.loads(message.payload) for message in messages] == [
        {"ts": 5.5, "value": 20},
        {"ts": 6, "value": None},
    ]


def test_object_with_paths(tmp_path: Path) -> None:
    """Values of one topic and one time are one object, each at its path, with group, time and quality."""
    ((_, topic, payload),) = build(
        tmp_path,
        PATHS_TOML,
        "5.25,tele/r/SENSOR,line1,temperature_1,20,7",
        "5.25,tele/r/SENSOR,line1,temperature_2,,7",
    )
    assert topic == "tele/r/SENSOR"
    assert json.loads(payload) == {
        "Time": 5250,
        "rack": {"name": "line1"},
        "status": {"0": "ok"},
        "SHT3X-0x44": {"t.1": 20},
        "probes": [None, {"t": None}],
    }


def test_a_feature_twice_is_two_messages(tmp_path: Path) -> None:
    """Values of one feature never share a message, even if they came at once with one time."""
    messages = build(
        tmp_path,
        PATHS_TOML,
        *[f"5,tele/r/SENSOR,line1,temperature_{number},{value},7" for value in (1, 2) for number in (1, 2)],
    )
    assert [json.loads(message.payload)["probes"][1]["t"] for message in messages] == [1, 2]


def test_times_as_the_source_writes_them(tmp_path: Path) -> None:
    """An event time is written in the source's format and zone."""
    toml = """
[[input.sources]]
topic = "plant/{group}/{feature}"
ts_format = "%d.%m.%Y %H:%M:%S"
zone = "Europe/Berlin"
"""
    (message,) = build(tmp_path, toml, "1700000000,plant/a/temperature_1,a,temperature_1,20,7")
    assert json.loads(message.payload)["ts"] == "14.11.2023 23:13:20"


@FAST_SETTINGS
@given(
    scale=st.sampled_from([1.0, 0.1, 0.01, 1 / 3, -2.5, 100.0]),
    offset=st.sampled_from([0.0, -40.0, 273.15]),
    number=st.integers(-100_000, 100_000).map(lambda number: number / 100),
    ts=st.integers(0, 10**13).map(lambda milliseconds: milliseconds / 1000),
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_any_number_and_time_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, scale: float, offset: float, number: float, ts: float, unit: str
) -> None:
    """Whatever a device sent, the built payload gives the same value and time to the bit, or is refused."""
    toml = f"""
[[input.sources]]
topic = "plant/{{group}}/t"
ts_unit = "{unit}"
feature = "temperature_1"
features = {{temperature_1 = {{scale = {scale!r}, offset = {offset!r}}}}}
"""
    value = number * scale + offset
    (message,) = build(tmp_path_factory.mktemp("any"), toml, f"{ts},plant/a/t,a,temperature_1,{value!r},7")
    assert json.loads(message.payload)["value"] * scale + offset == value
    assert math.isfinite(json.loads(message.payload)["ts"])


@pytest.mark.parametrize(
    ("toml", "row", "problem"),
    [
        (
            RECORDS_TOML,
            "5,gateway,line1,temperature_1,1,5",
            'format = "records".*can\'t be built again',
        ),
        (
            RECORDS_TOML.replace('"records"', '"msgpack"'),
            "5,gateway,line1,temperature_1,1,5",
            "row 1: topic 'gateway': the payloads of its source .format = \"msgpack\".",
        ),
        (
            NUMBER_TOML,
            "5,n1/tt/state,n2,temperature_1,1,5",
            "no source of input.sources gives temperature_1 of",
        ),
        (NUMBER_TOML, "5,other,n1,temperature_1,1,5", "row 1: topic 'other': no source of input.sources"),
        (
            NUMBER_TOML.replace('absent = ["unavailable"]', ""),
            "5,n1/tt/state,n1,temperature_1,,5",
            "its source can't say that a sensor has no value; expected a text in absent",
        ),
        (
            '[[input.sources]]\ntopic = "p/{g}/{feature}"\nts_format = "%d.%m.%Y"\n',
            "5,p/a/temperature_1,a,temperature_1,1,5",
            "as other values or times",
        ),
    ],
    ids=["records", "msgpack", "group", "topic", "absent", "time"],
)
def test_what_cannot_be_built(tmp_path: Path, toml: str, row: str, problem: str) -> None:
    """A value whose payload can't be built, or is read back otherwise, is refused with the reason."""
    with pytest.raises(RecordingError, match=problem):
        build(tmp_path, toml, row)


def test_nothing_is_published_where_something_cannot_be(
    tmp_path: Path, mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording with a topic whose payloads can't be built is exit code 2 before anything is published."""
    file, config = tmp_path / "values.csv", tmp_path / "replay.toml"
    rows = ["5,n1/tt/state,n1,temperature_1,1", "6,gateway,line1,temperature_2,1"]
    file.write_text("\n".join(["ts,topic,group,feature,value", *rows]) + "\n")
    records_toml = f'{RECORDS_TOML}features = {{temperature_2 = "x"}}'
    config.write_text(f"[mqtt]\nport = {mosquitto.port}\n{NUMBER_TOML}{records_toml}\n")
    with connect_client(mosquitto.port, "#") as other:
        assert main(["replay", str(file), "--config", str(config)]) == 2
        other.publish("end", "x")
        wait_until(lambda: other.texts("end"), "what was published before has arrived")
        assert len(other.messages) == 1
    assert "row 2: topic 'gateway'" in capsys.readouterr().err


def test_readings_where_sources_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording of readings isn't published where no source would read them: exit code 2."""
    file, config = tmp_path / "readings.csv", tmp_path / "replay.toml"
    file.write_text(f"ts,group,{','.join(NAMES)}\n5,n1,1,2,3,4\n")
    config.write_text(NUMBER_TOML)
    assert main(["replay", str(file), "--config", str(config)]) == 2
    assert (
        "has one reading a row, and nobody would read it where input.sources is set"
        in capsys.readouterr().err
    )
