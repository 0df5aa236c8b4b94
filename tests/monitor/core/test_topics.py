from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.errors import ConfigurationError
from monitor.core.topics import OwnTopics, Template, check_filter, find_conflict, find_own_output
from monitor.ingest.decode import DecodeStage
from tests.monitor.service.pipeline_fixture import message_batch
from tests.support.toy_bundle import NAMES

QUICK = settings(derandomize=True, deadline=None, max_examples=100)


@pytest.mark.parametrize(
    ("template", "topic", "group"),
    [
        ("plant/{line}/{station}/reading", "plant/line1/station7/reading", "line1/station7"),
        ("{site}/x/{station}", "a/x/b", "a/b"),
        ("{station}", "station7", "station7"),
        ("p/{station}", "p/ä b", "ä b"),
        ("plant/{line}/{station}/reading", "plant/line1/station7/status", None),
        ("plant/{line}/{station}/reading", "plant/line1/reading", None),
        ("plant/{line}/{station}/reading", "plant/line1/station7/reading/more", None),
        ("plant/{station}", "Plant/station7", None),
        ("plant/{station}", "", None),
        ("p/{station}", "p/", None),
        ("p/{station}", "p/a\0b", None),
        ("p/{station}", "p/a+", None),
        ("p/{station}", "p/#", None),
        ("zigbee2mqtt/{rack}_top", "zigbee2mqtt/rack3_top", "rack3"),
        ("zigbee2mqtt/{rack}_top", "zigbee2mqtt/_top", None),
        ("zigbee2mqtt/{rack}_top", "zigbee2mqtt/rack3_bottom", None),
        ("x/{line}-{rack}/y", "x/l1-r2/y", "l1/r2"),
        ("$aws/things/{id}/shadow", "$aws/things/rack3/shadow", "rack3"),
        ("iotgateway", "iotgateway", ""),
        ("p.q/{a}", "pxq/a", None),
    ],
)
def test_group(template: str, topic: str, group: str | None) -> None:
    """The named levels of a topic form the group; a topic that differs in another level does not match."""
    assert Template(template).group(topic) == group


@pytest.mark.parametrize(
    ("template", "subscription"),
    [("plant/{line}/{station}/reading", "plant/+/+/reading"), ("{a}", "+"), ("x/{a}/y", "x/+/y")],
)
def test_filter(template: str, subscription: str) -> None:
    """A template subscribes with one single-level wildcard for each name."""
    assert Template(template).filter == subscription


@pytest.mark.parametrize("text", ["#", "+", "a/+/b", "a/#", "$aws/things/#", "/", "a b/c"])
def test_valid_filter(text: str) -> None:
    """A topic filter of MQTT is accepted."""
    check_filter(text)


@pytest.mark.parametrize("text", ["", "a/#/x", "a/b#", "a+/b", "#/a", "a\0"])
def test_invalid_filter(text: str) -> None:
    """Anything else is refused with the rule."""
    with pytest.raises(ConfigurationError, match="is no topic filter"):
        check_filter(text)


def test_topic_of_a_group() -> None:
    """Parsing a group's topic gives the same group."""
    template = Template("plant/{line}/{station}/reading")
    topic = template.topic("line1/station7")
    assert topic == "plant/line1/station7/reading"
    assert template.group(topic) == "line1/station7"


def test_topic_needs_all_parts() -> None:
    """A group with too few parts has no topic, and the message says how many are needed."""
    with pytest.raises(ValueError, match=r"'station7' has 1 part\(s\), expected 2"):
        Template("plant/{line}/{station}").topic("station7")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "must not be empty"),
        ("plant/{a}/{a}", "must not use a name twice"),
        ("plant/{a}{b}", "other text between two names"),
        ("plant/{a b}", "letters, digits and underscores"),
        ("plant/{}", "letters, digits and underscores"),
        ("plant/{1}", "letters, digits and underscores"),
        ("plant/+/{a}", "without wildcards"),
        ("{a}/#", "without wildcards"),
        ("{a}/\0", "without wildcards"),
        ("$share/x/{a}", "shared subscription"),
    ],
)
def test_invalid_template(text: str, rule: str) -> None:
    """An invalid template is rejected with the rule that it breaks."""
    with pytest.raises(ValueError, match="must") as error:
        Template(text)
    assert rule in str(error.value)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["plant/{a}", "plant/{a}/{b}"], None),
        (["sensor-monitor-2/{a}"], None),
        (["{a}"], None),
        (["{a}/status"], None),
        (["sensor-{a}/status"], None),
        (["x/{a}_top", "x/{a}_bottom/{b}"], None),
        (["x/{a}_t/{b}", "x/{a}_b/c"], None),
        (["x/{a}_t/{b}", "x/y_{a}/{b}"], "match the same topic"),
        (["sensor-monitor/{a}"], "read its own output"),
        (["plant/{a}", "sensor-monitor/x/{a}/{b}"], "read its own output"),
        (["x/{a}", "y/{a}"], "yield the same group"),
        (["x/{a}/y", "{b}"], "yield the same group"),
        (["x/{a}", "x/y/{c}"], "yield the same group"),
        (["x/{a}/{b}", "x/y/{c}"], "match the same topic"),
    ],
)
def test_conflict(texts: list[str], reason: str | None) -> None:
    """Templates conflict if they match the monitor's output, or if two topics can yield the same group."""
    templates = [Template(text) for text in texts]
    conflict = find_own_output(templates, "base_topic", "sensor-monitor") or find_conflict(templates)
    assert (conflict is None) == (reason is None)
    assert (reason or "") in (conflict or "")


LEVELS = st.lists(st.sampled_from(["a", "b", "{x}", "{y}", "{z}"]), min_size=1, max_size=3).filter(
    lambda levels: any("{" in level for level in levels) and len(set(levels)) == len(levels)
)
ALL_TOPICS = ["/".join(levels) for depth in (1, 2, 3) for levels in product("abc", repeat=depth)]


@QUICK
@given(LEVELS, LEVELS, st.lists(st.sampled_from("ab"), min_size=1, max_size=2))
def test_conflict_equals_brute_force(first: list[str], second: list[str], base: list[str]) -> None:
    """`find_conflict` finds a conflict if and only if trying all topics finds one."""
    templates, base_topic = [Template("/".join(first)), Template("/".join(second))], "/".join(base)
    is_ambiguous = False
    seen: set[str] = set()
    only_own_output = [True, True]
    for topic in ALL_TOPICS:
        groups = [template.group(topic) for template in templates]
        only_own_output = [
            only and (group is None or topic in OwnTopics(base_topic))
            for only, group in zip(only_own_output, groups, strict=True)
        ]
        found = [group for group in groups if group is not None]
        is_ambiguous |= bool(found) and (len(found) > 1 or found[0] in seen)
        seen.update(found)
    assert (find_conflict(templates) is not None) == is_ambiguous
    assert (find_own_output(templates, "base_topic", base_topic) is not None) == any(only_own_output)


@pytest.mark.parametrize(
    ("topic", "is_own"),
    [
        ("sm", True),
        ("sm/alerts/a", True),
        ("sm2/alerts/a", False),
        ("ha/binary_sensor/x/config", True),
        ("ha/binary_sensor/x/state", False),
        ("ha/sensor/x/state", False),
    ],
)
def test_own_topics(topic: str, *, is_own: bool) -> None:
    """What the monitor publishes is recognised; the other topics below Home Assistant's prefix are not."""
    assert (topic in OwnTopics("sm", "ha")) == is_own


@QUICK
@given(st.lists(st.text("ab{", min_size=0, max_size=3), min_size=2, max_size=2))
def test_overlap_equals_brute_force(levels: list[str]) -> None:
    """Two levels with names within them overlap if and only if some text matches both."""
    templates = []
    for level in levels:
        text = level.replace("{", "{x}", 1).replace("{{", "{") if "{" in level else level
        try:
            templates.append(Template(text))
        except ValueError:
            return
    texts = ["".join(characters) for length in range(1, 7) for characters in product("ab", repeat=length)]
    brute_force = any(all(template.match(text) is not None for template in templates) for text in texts)
    assert templates[0].overlaps(templates[1]) == brute_force


def test_decode_forgets_topics() -> None:
    """The decode stage caches topics that it received twice, until `forget` removes their group."""
    stage = DecodeStage([Template("p/{line}/{station}"), Template("q/{group}")], NAMES, {}, OwnTopics("sm"))
    topics = ("p/a/b", "q/c", "none", "q/once")
    for received_topics in (topics, topics[:3]):
        batch = message_batch([(topic, b"{}", None, False) for topic in received_topics])
        stage.decode(batch.messages, batch.arrivals)
    assert stage._group_by_topic == {"p/a/b": "a/b", "q/c": "c"}  # noqa: SLF001
    for group in ("a/b", "c", "unknown"):
        stage.forget(group)
    assert stage._group_by_topic == {}  # noqa: SLF001
