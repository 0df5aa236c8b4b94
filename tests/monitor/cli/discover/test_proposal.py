"""What `discover` proposes for each layout."""

from pathlib import Path

import pytest

from tests.monitor.cli.discover.layouts import LAYOUTS
from tests.monitor.cli.discover.plant import FEATURES, START, proposal, read, read_settings, rounds, values_of


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout(name: str, tmp_path: Path) -> None:
    """The proposal is taken as settings, and reads each value of each rack as the feature that it is."""
    layout = LAYOUTS[name]
    messages = rounds(layout)
    text = proposal(messages)
    found = read(text, messages, tmp_path)
    for number, rack in enumerate(layout.racks):
        features = found[layout.group.format(rack=rack)]
        for index, feature in enumerate(FEATURES):
            sent = [values_of(number, step)[index] for step in range(6)]
            assert features[feature] == pytest.approx(sent), text
    assert len(found) == len(layout.racks)


@pytest.mark.parametrize(
    "names",
    [
        ("zigbee2mqtt", "esphome", "tasmota", "kepware", "plain"),
        ("shelly1", "statestream", "shelly2", "tag_a_topic", "senml"),
        ("tts", "chirpstack", "node_red", "telegraf", "msgpack", "cbor"),
        tuple(name for name in LAYOUTS if name not in {"influx", "one_topic"}),
    ],
)
def test_layouts_at_once(names: tuple[str, ...], tmp_path: Path) -> None:
    """Sources of several layouts don't contradict each other, and read what each alone would read."""
    messages = sorted((item for name in names for item in rounds(LAYOUTS[name])), key=lambda item: item[0])
    text = proposal(messages)
    found = read(text, messages, tmp_path)
    assert len(found) == 2 * len(names), text
    for group, features in found.items():
        number = int(group.rpartition("rack")[2][0]) - 3
        for index, feature in enumerate(FEATURES):
            sent = [values_of(number, step)[index] for step in range(6)]
            assert features[feature] == pytest.approx(sent), text


@pytest.mark.parametrize("name", ["influx", "one_topic"])
def test_groups_named_by_the_payload_stand_alone(name: str, tmp_path: Path) -> None:
    """Where payloads name the groups beside other layouts, the proposal says why they are left out."""
    messages = [*rounds(LAYOUTS[name]), *rounds(LAYOUTS["zigbee2mqtt"])]
    text = proposal(messages)
    assert "left out: the payload names its groups" in " ".join(text.replace("\n#  ", "").split("\n"))
    assert [source.topic for source in read_settings(text, tmp_path).input.sources] == [
        "zigbee2mqtt/{rack}_top",
        "zigbee2mqtt/{rack}_bottom",
    ]


def test_group_that_lacks_features(tmp_path: Path) -> None:
    """A group with fewer values than features is said, and doesn't hold up the others."""
    messages = [item for item in rounds(LAYOUTS["zigbee2mqtt"]) if item[1][0] != "zigbee2mqtt/rack4_bottom"]
    text = proposal(messages)
    assert "left out: group 'rack4': temperature: 1 values for 2 features (zigbee2mqtt/rack4_top" in text
    assert read(text, messages, tmp_path)["rack3"].keys() == set(FEATURES)


def test_group_with_more_values_than_features() -> None:
    """A group with more values than features is said, with the values."""
    extra = [
        (at, ("rack3/sensor/middle_temperature/state", b"20.1")) for at, _ in rounds(LAYOUTS["esphome"])[::8]
    ]
    text = " ".join(proposal([*rounds(LAYOUTS["esphome"]), *extra]).replace("\n#  ", "").split("\n"))
    assert "left out: group 'rack3': temperature: 3 values for 2 features" in text
    assert "# 1 group(s): rack4" in text


def test_nothing_fits(tmp_path: Path) -> None:
    """Where nothing gives all features, the proposal is TOML without sources, and says what to do."""
    text = proposal([(START, ("a/noise", b"1")), (START, ("b", b"text"))])
    assert "nothing gives a group all of temperature_1" in text
    assert read_settings(text, tmp_path).input.sources == ()


def test_sparkplug_is_named() -> None:
    """Sparkplug topics are named as left out."""
    text = proposal([(START, ("spBv1.0/plant/DDATA/edge/device", b"\x08\x01"))])
    assert "left out: 1 topic(s) such as spBv1.0/plant/DDATA/edge/device, Sparkplug B" in text


def test_pace(tmp_path: Path) -> None:
    """Alignment follows the interval; unrepeated values give a deadband; slow readings a larger gap."""
    text = proposal(rounds(LAYOUTS["esphome"], period=60.0))
    align = read_settings(text, tmp_path).input.align
    assert (align.period, align.max_age, align.deadband["temperature_1"]) == (60.0, 180.0, 0.1)
    windows = read_settings(proposal(rounds(LAYOUTS["plain"], period=60.0)), tmp_path).windows
    assert windows.max_gap == 180.0


def test_seen_once(tmp_path: Path) -> None:
    """Without a second message the interval isn't known, and the proposal says so."""
    text = proposal(rounds(LAYOUTS["esphome"], steps=1))
    assert "8 of 8 values came once in 60 s" in text
    assert "# max_age = 450.0" in text
    read_settings(text, tmp_path)


def test_absent_texts(tmp_path: Path) -> None:
    """Texts in place of numbers become `absent`, and unusual ones are asked about."""
    topic = "rack3/sensor/top_temperature/state"
    text = proposal([*rounds(LAYOUTS["esphome"]), (START + 70, (topic, b"offline"))])
    assert "offline" in read_settings(text, tmp_path).input.sources[0].absent
