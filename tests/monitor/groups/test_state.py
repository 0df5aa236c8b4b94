from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import bundle
from monitor.config.settings import Alerts, WindowSettings
from monitor.service.stages import build_scoring
from tests.monitor.service.pipeline_fixture import NOW, World, message
from tests.support.toy_bundle import FAULTY, HEALTHY

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
COURSE = [HEALTHY, HEALTHY, HEALTHY, FAULTY, HEALTHY, HEALTHY, HEALTHY, HEALTHY, FAULTY]


@QUICK
@given(cut=st.integers(0, len(COURSE)), silent=st.booleans())
def test_move_in_mid_stream(toy_bundle: Path, cut: int, *, silent: bool) -> None:
    """Groups that move to another process, wherever in their course, say there what they would have said."""
    messages = [message(ts, values, f"p/{group}") for ts, values in enumerate(COURSE) for group in "ab"]
    pause = 100.0 if silent else 1.0
    whole, first, second = World(toy_bundle), World(toy_bundle), World(toy_bundle)
    whole.run((1.0, messages[: 2 * cut]), (1.0 + pause, []), (1.0 + pause, messages[2 * cut :]))
    first.run((1.0, messages[: 2 * cut]), (1.0 + pause, []))
    for group in ("a", "b"):
        value = first.memory.dump(group)
        assert (value is None) == (cut == 0)
        if value is not None:
            second.memory.load(group, value, 1.0 + pause)
    second.run((1.0 + pause, messages[2 * cut :]))
    assert first.said("alerts/") + second.said("alerts/") == whole.said("alerts/")
    assert first.said("state/") + second.said("state/") == whole.said("state/")
    for state in ("filling", "normal", "faulty", "silent"):
        assert second.value("groups", state=state) == whole.value("groups", state=state)


@pytest.mark.parametrize("value", [b"", b"\x93\x01\x02\x03", b"\x93\xc4\x00\xc4\x00\xc4\x00"])
def test_damaged_value(toy_bundle: Path, value: bytes) -> None:
    """What isn't a group's state is refused, not taken for one."""
    with pytest.raises(ValueError, match="'g'"):
        World(toy_bundle).memory.load("g", value, 0.0)


@pytest.mark.parametrize("field", ["since", "last_ts", "state"])
def test_damaged_line(toy_bundle: Path, field: str) -> None:
    """A state whose numbers can't be is refused whole: nothing of the group is left anywhere."""
    world = World(toy_bundle)
    world.run((1.0, [message(ts, FAULTY) for ts in range(3)]))
    parts = list(msgspec.msgpack.decode(world.memory.dump("g") or b""))
    line = np.frombuffer(parts[0], world.memory.board._rows.records.dtype).copy()  # noqa: SLF001, as on disk
    line[field] = {"state": 99}.get(field, np.nan)
    parts[0] = line.tobytes()
    other = World(toy_bundle)
    with pytest.raises(ValueError, match="'g'"):
        other.memory.load("g", msgspec.msgpack.encode(parts), 0.0)
    assert (other.memory.chain.windows.groups(), other.memory.chain.alerts.firing) == ([], 0)


def test_least_recently_heard_is_set_aside(toy_bundle: Path) -> None:
    """Beyond max_groups those heard longest ago leave, the silent ones first, and come back as they were."""
    world = World(toy_bundle, most_groups=2)
    kept: dict[str, bytes] = {}

    def fetch(names: list[str]) -> dict[str, bytes]:
        return {name: kept[name] for name in names if name in kept}

    world.memory.fetch = fetch
    world.run((1.0, [message(0, FAULTY, "p/a"), message(1, FAULTY, "p/a"), message(2, FAULTY, "p/a")]))
    (incident,) = world.said("alerts/")
    value = world.memory.dump("a")
    assert value is not None
    kept["a"] = value
    world.run((2.0, [message(0, topic="p/b"), message(0, topic="p/c")]))
    assert ("a" in world.memory.board, len(world.memory.board)) == (False, 2)
    assert world.value("groups_set_aside_total") == 1
    assert world.value("alerts_firing") == 0
    world.run((3.0, [message(2, FAULTY, "p/a"), message(3, HEALTHY, "p/a")]))
    assert world.outcomes()["duplicate"] == 1
    world.run((4.0, [message(ts, HEALTHY, "p/a") for ts in (4, 5)]))
    assert [event["id"] for event in world.said("alerts/")] == [incident["id"]] * 2


def test_value_that_cannot_come_back(toy_bundle: Path) -> None:
    """A group whose state was damaged meanwhile begins afresh, and the log says so."""
    world = World(toy_bundle, most_groups=1)
    world.memory.fetch = lambda names: dict.fromkeys(names, b"nonsense")
    world.run((1.0, [message(0, topic="p/a")]), (2.0, [message(0, topic="p/b")]))
    world.run((3.0, [message(1, topic="p/a")]))
    assert world.outcomes() == {"filling": 3}
    (reason,) = world.unreadable_groups
    assert "'a' can't be read" in reason


def test_stages_change(toy_bundle: Path) -> None:
    """Other settings take over in mid-stream: no window is lost and the incident keeps its id."""
    world = World(toy_bundle)
    world.run((1.0, [message(ts, FAULTY) for ts in (0, 1, 2)]))
    loaded = bundle.load(toy_bundle)
    chain = build_scoring(loaded, WindowSettings(), Alerts(clear_after=2))
    replaced = world.pipeline.replace(chain, loaded.manifest, stale_after=5.0)
    world.run((2.0, [message(ts, HEALTHY) for ts in (3, 4, 5)]))
    assert replaced.done.is_set()
    assert world.outcomes() == {"filling": 2, "judged": 4}
    assert [event["status"] for event in world.said("alerts/")] == ["firing"]
    world.run((3.0, [message(6, HEALTHY)]))
    assert [event["status"] for event in world.said("alerts/")] == ["firing", "resolved"]
    assert len({event["id"] for event in world.said("alerts/")}) == 1
    world.run((8.0, []))
    assert world.value("groups", state="silent") == 1


def test_expected_group(toy_bundle: Path) -> None:
    """A group that must speak and never did is silent after stale_after, since it was first expected."""
    world = World(toy_bundle)
    world.memory.expect(["mute", "g"], 0.0, NOW)
    world.run((1.0, [message(0)]), (60.0, []))
    (line,) = [line for line in world.said("state/") if line["group"] == "mute"]
    assert (line["state"], line["since"]) == ("silent", "2023-11-14T22:13:20.000Z")


def test_expected_group_that_was_set_aside(toy_bundle: Path) -> None:
    """A group that must speak and was set aside is known at the start as it was, with its incident."""
    before = World(toy_bundle)
    before.run((1.0, [message(ts, FAULTY) for ts in range(3)]))
    kept = before.memory.dump("g") or b""
    world = World(toy_bundle)
    world.memory.fetch, world.memory.elsewhere = lambda names: {"g": kept} if "g" in names else {}, True
    world.memory.expect(["g"], 0.0, NOW)
    assert world.memory.board.lines(["g"]) == before.memory.board.lines(["g"])
