import json
from pathlib import Path

import pytest

from monitor.bundle.manifest import Baseline
from monitor.core.times import iso
from monitor.operators.requests import Refusal, read
from tests.monitor.operators.operator_pipeline import Office, identify
from tests.monitor.service.pipeline_fixture import NOW, World, message
from tests.support.toy_bundle import FAULTY, HEALTHY, save_toy_bundle

BASELINE = Baseline(floors=(0.08, 0.5, 0.08, 0.5))
APART = [20.0, 50.0, 80.0, 50.0]


@pytest.fixture
def office(toy_bundle: Path, tmp_path: Path) -> Office:
    """Nothing has happened yet."""
    return Office(toy_bundle, tmp_path)


def test_acknowledge(office: Office) -> None:
    """Open incidents are acknowledged by group, pattern or id; the state says so until they end."""
    for group in "abc":
        office.hear(3, HEALTHY, HEALTHY, HEALTHY if group == "c" else FAULTY, group=group)
    assert office.tell(4, "acknowledge", group="?", transaction=[1]) == {
        "status": "ok", "count": 2, "incidents": [identify(3, "a"), identify(3, "b")], "transaction": [1],
    }  # fmt: skip
    assert [line["acknowledged"] for line in office.world.said("state/")[-2:]] == [True, True]
    assert ["a", "b"] in office.world.groups, "it is committed"
    assert office.tell(5, "acknowledge", incident=identify(3, "a"))["incidents"] == [identify(3, "a")]
    for name, content in {"incident": identify(9, "a"), "group": "c"}.items():
        assert office.tell(6, "acknowledge", **{name: content})["status"] == "error"
    office.hear(9, HEALTHY, HEALTHY, HEALTHY, group="a")
    office.hear(12, FAULTY, group="a")
    assert [(line["incident"], line["acknowledged"]) for line in office.world.said("state/a")[-2:]] == [
        (None, False), (identify(12, "a"), False),
    ]  # fmt: skip


def test_silence(office: Office) -> None:
    """While a group is muted its state is published and no event is; what is open at the end comes then."""
    office.hear(3, HEALTHY, HEALTHY, HEALTHY)
    assert office.tell(4, "silence", group="g", minutes=0.5)["until"].endswith(":54.000Z")
    office.hear(5, FAULTY)
    office.world.run((33.9, []))
    assert (office.events(), office.world.events) == ([], [])
    assert office.world.said("state/")[-1]["incident"] == identify(5)
    assert office.world.value("alerts_firing") == 1
    office.world.run((34, []))
    assert office.events() == [(identify(5), "firing")]
    assert [event.id for event in office.world.events] == [identify(5)]
    assert office.world.value("alerts_total", status="firing") == 1
    assert office.world.groups[-3:].count(["g"]) == 1, "it is committed"
    office.hear(40, HEALTHY, HEALTHY, HEALTHY)
    assert office.events() == [(identify(5), "firing"), (identify(5), "resolved")]
    assert [len(line["muted"]) for line in office.world.said("muted")] == [1, 0]


def test_silence_that_ends_early(office: Office) -> None:
    """With 0 minutes a pattern is dropped; one that isn't there is refused."""
    office.hear(3, HEALTHY, HEALTHY, HEALTHY)
    office.tell(4, "silence", group="*", minutes=60)
    office.hear(5, FAULTY)
    assert office.tell(6, "silence", group="g", minutes=0) == {
        "status": "error", "error": "'g' isn't muted; expected a pattern as it was given",
    }  # fmt: skip
    assert office.events() == []
    assert office.tell(7, "silence", group="*", minutes=0) == {"status": "ok"}
    assert office.events() == [(identify(5), "firing")]


def test_false_alarm(office: Office) -> None:
    """A false alarm ends the incident and leaves one row, whoever says so again; the next one is another."""
    office.hear(5, HEALTHY, HEALTHY, FAULTY, FAULTY)
    assert office.tell(6, "false-alarm", group="g") == {"status": "ok", "incident": identify(4)}
    assert office.events() == [(identify(4), "firing"), (identify(4), "resolved")]
    (ended,) = [event for event in office.world.said("alerts/") if event["status"] == "resolved"]
    assert ended["ended_at"].endswith(":25.000Z")
    assert (ended["reason"], ended["contributions"], ended["contributions_by_step"]) == (None, None, None)
    assert office.world.value("alerts_firing") == 0
    assert office.world.said("state/")[-1]["incident"] is None
    assert office.tell(7, "false-alarm", incident=identify(4)) == {"status": "ok", "incident": identify(4)}
    office.hear(8, FAULTY)
    assert office.events()[2:] == [(identify(8), "firing")]
    assert office.tell(9, "false-alarm", incident=identify(4))["error"] == (
        f"incident {identify(4)!r} is not known any more; the latest is {identify(8)!r}"
    )
    office.tell(10, "false-alarm", group="g")
    assert [line.split(",")[0] for line in office.file.read_text().splitlines()[1:]] == [
        identify(4),
        identify(8),
    ]


def test_false_alarm_with_a_baseline(tmp_path: Path) -> None:
    """Where what is normal begins afresh, so does the state: a group isn't Faulty whose incident was none."""
    save_toy_bundle(tmp_path / "bundle", baseline=BASELINE)
    office = Office(tmp_path / "bundle", tmp_path)
    for group in "gh":
        office.hear(40, *[HEALTHY] * 39, APART, group=group)
    assert office.world.said("state/")[-1]["state"] == "faulty"
    office.tell(41, "false-alarm", group="g")
    (*_, line) = office.world.said("state/")
    assert (line["state"], line["incident"], line["since"]) == ("warming", None, iso(NOW + 40))
    office.world.run((200, []))
    assert office.world.said("state/")[-1]["state"] == "silent"
    office.tell(201, "false-alarm", group="h")
    (*_, line) = office.world.said("state/")
    assert (line["state"], line["incident"]) == ("silent", None)
    assert office.world.value("groups", state="silent") == 2


def test_false_alarm_while_muted(office: Office) -> None:
    """Of an incident that nobody was told of the end isn't told either."""
    office.hear(3, HEALTHY, HEALTHY, HEALTHY)
    office.tell(4, "silence", group="g", minutes=1)
    office.hear(5, FAULTY)
    office.tell(6, "false-alarm", group="g")
    office.world.run((100, []))
    assert office.events() == []


def test_false_alarm_that_has_no_place(office: Office) -> None:
    """Where the row can't be written the answer says why, and the incident stays open."""
    office.hear(3, HEALTHY, HEALTHY, FAULTY)
    office.file.mkdir()
    answer = office.tell(4, "false-alarm", group="g")
    assert answer["error"] == f"alerts.false_alarms: {office.file}: Is a directory"
    assert office.world.said("state/")[-1]["incident"] == identify(3)


def test_answer_waits_for_the_store(office: Office) -> None:
    """Nothing is answered before the store has it, and only so many wait."""
    office.hear(3, HEALTHY, HEALTHY, FAULTY)
    office.world.saves = office.world.secures = False
    for _ in range(50):
        office.ask("acknowledge", group="g")
    office.world.run((4, []))
    assert office.answers == []
    assert not office.world.desk.ask(read("acknowledge", b'{"group":"g"}', retained=False), print)
    office.world.secures = True
    office.world.run((5, []))
    assert [answer["status"] for answer in office.answers] == ["ok"] * 50
    assert set(office.world.secured[-1]) == {"g"}
    count = len(office.world.secured)
    office.world.run((6, [message(4)]))
    assert len(office.world.secured) == count, "nobody waits any more"


@pytest.mark.parametrize("name", ["acknowledge", "silence", "false-alarm"])
@pytest.mark.parametrize("group", ["nobody", "nobody/*", "g\n", "\ud7ff", "", "x" * 1000])
def test_unknown_group(office: Office, name: str, group: str) -> None:
    """A group that isn't there is refused with its name, and nothing changes."""
    office.hear(3, HEALTHY, HEALTHY, FAULTY)
    before = office.world.memory.dump("g")
    minutes = {"minutes": 5} if name == "silence" else {}
    if group:
        assert repr(group) in office.tell(4, name, group=group, **minutes)["error"]
    else:
        with pytest.raises(Refusal, match="length >= 1"):
            read(name, json.dumps({"group": "", **minutes}).encode(), retained=False)
    assert office.world.memory.dump("g") == before
    assert not office.file.exists()
    assert office.world.desk.mutes.lines() == []


def test_muted_group_that_was_set_aside(toy_bundle: Path) -> None:
    """What was held back of a group comes with the group where its mute is over by then."""
    world = World(toy_bundle, most_groups=1)
    values: dict[str, bytes] = {}
    world.memory.fetch = lambda names: {name: values[name] for name in names if name in values}
    world.desk.mutes.mute("a", NOW + 10)
    world.run((3, [message(ts, FAULTY, "p/a") for ts in range(3)]))
    values["a"] = world.memory.dump("a") or b""
    world.run((4, [message(3, topic="p/b")]), (20, []))
    assert "a" not in world.memory.board
    world.run((21, [message(5, FAULTY, "p/a")]))
    assert [event["id"] for event in world.said("alerts/")] == [identify(2, "a")]


def test_group_that_was_set_aside(toy_bundle: Path) -> None:
    """A group that memory had no room for is found in the store."""
    world = World(toy_bundle, most_groups=1)
    answers: list[bytes] = []
    values: dict[str, bytes] = {}
    world.run((3, [message(ts, FAULTY, "p/a") for ts in range(3)]))
    values["a"] = world.memory.dump("a") or b""
    world.memory.fetch = lambda names: {name: values[name] for name in names if name in values}
    world.run((4, [message(3, topic="p/b")]))
    assert "a" not in world.memory.board
    world.desk.ask(read("acknowledge", b'{"group":"a"}', retained=False), answers.append)
    world.run((5, []))
    assert json.loads(answers[0])["incidents"] == [identify(2, "a")]
