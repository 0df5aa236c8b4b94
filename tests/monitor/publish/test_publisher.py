import json
from pathlib import Path

from monitor.publish.home_assistant import Discovery
from tests.monitor.service.pipeline_fixture import World, message
from tests.support.toy_bundle import FAULTY, HEALTHY

HOURS = 3600.0


def _states(world: World) -> list[str]:
    return [sent.topic for sent in world.sent if sent.topic.startswith("state/")]


def _announced(world: World) -> dict[str, bytes]:
    """Return what stands last on each discovery topic, by the group's name or the topic."""
    found = {sent.topic: sent.payload for sent in world.sent if sent.whole}
    return {json.loads(payload)["name"] if payload else topic: payload for topic, payload in found.items()}


def test_states_are_said_again(toy_bundle: Path) -> None:
    """Every eight hours all states are said again, so that none expires while its monitor lives."""
    world = World(toy_bundle)
    world.run((1, [message(0, topic="p/a"), message(0, topic="p/b")]), (100, []))
    world.sent.clear()
    world.run((8 * HOURS - 1, []))
    assert _states(world) == []
    world.run((8 * HOURS, []), (8 * HOURS + 0.1, []), (9 * HOURS, []))
    assert _states(world) == ["state/a", "state/b"]
    world.run((16 * HOURS, []))
    assert _states(world) == ["state/a", "state/b"] * 2
    assert not any(sent.whole for sent in world.sent)


def test_newest_state_counts(toy_bundle: Path) -> None:
    """A state that nobody could publish yet is said as it is by then, and once."""
    world = World(toy_bundle)
    world.room = 0
    world.run((1, [message(0)]), (2, [message(1), message(2)]), (3, [message(3, FAULTY)]))
    assert _states(world) == []
    world.room = None
    world.run((4, []))
    assert [(line["group"], line["state"]) for line in world.said("state/")] == [("g", "faulty")]


def test_states_go_out_one_by_one(toy_bundle: Path) -> None:
    """Those for which there is no room come later, each in its turn, and none twice."""
    world = World(toy_bundle)
    world.room = 2
    topics = [f"p/{number}" for number in range(5)]
    world.run((1, [message(0, topic=topic) for topic in topics]), (2, []), (3, []), (4, []))
    assert _states(world) == [f"state/{number}" for number in range(5)]


def test_last_word(toy_bundle: Path) -> None:
    """The state of a group that is set aside before it was said is said all the same."""
    world = World(toy_bundle, most_groups=1)
    world.room = 0
    world.run((1, [message(0, topic="p/a")]), (2, [message(0, topic="p/b")]), (3, []))
    assert [(line["group"], line["state"]) for line in world.said("state/")] == [("a", "filling")]


def test_states_are_said_at_the_start(toy_bundle: Path) -> None:
    """A process begins with the states of all groups that it knows: the one before may have owed some."""
    before = World(toy_bundle)
    before.room = 0
    before.run((1, [message(ts) for ts in range(3)]))
    world = World(toy_bundle, known={"g": before.memory.dump("g") or b""})
    world.run((1, []), (2, []))
    assert [(line["group"], line["state"]) for line in world.said("state/")] == [("g", "normal")]


def test_portions(toy_bundle: Path) -> None:
    """Many states are said again in portions, each group once a round."""
    world = World(toy_bundle)
    groups = [f"p/{number}" for number in range(500)]
    world.run((1, [message(0, topic=topic) for topic in groups]), (100, []))
    world.sent.clear()
    sizes = []
    for step in range(5):
        before = len(_states(world))
        world.run((8 * HOURS + step / 2, []))
        sizes.append(len(_states(world)) - before)
    assert sizes == [200, 200, 100, 0, 0]
    assert len(set(_states(world))) == 500


def test_bundle_is_named(toy_bundle: Path) -> None:
    """What tells a verdict names the bundle whose it is, and what tells none doesn't."""
    world = World(toy_bundle, discovery=Discovery("ha", "base"))
    world.forgotten.set()
    world.run((1, [message(ts, FAULTY) for ts in range(3)]))
    kinds = {sent.topic.partition("/")[0]: sent.bundle for sent in world.sent}
    assert set(kinds) == {"state", "alerts", "muted", "ha"}
    assert kinds["state"] == kinds["alerts"] == json.loads(world.sent[0].payload)["bundle"]
    assert kinds["muted"] == kinds["ha"] == ""


def test_announced_when_known(toy_bundle: Path) -> None:
    """A group is announced once it is known, and when Home Assistant begins again; others aren't then."""
    world = World(toy_bundle, discovery=Discovery("ha", "base"))
    world.run((1, [message(0, topic="p/a")]), (2, [message(0, topic="p/b")]))
    assert list(_announced(world)) == ["a", "b"]
    world.sent.clear()
    world.run((3, [message(1, topic="p/a")]))
    assert _announced(world) == {}
    world.reborn.set()
    world.run((4, []))
    assert list(_announced(world)) == ["a", "b"]
    assert not world.reborn.is_set()


def test_ever_new_groups(toy_bundle: Path) -> None:
    """Of groups that come and go faster than they can be announced no more wait than memory has room for."""
    world = World(toy_bundle, most_groups=300, discovery=Discovery("ha", "base"))
    batches = [[message(0, topic=f"p/{10 * turn}{number}") for number in range(10)] for turn in range(200)]
    world.run(*[(1 + turn / 1e6, batch) for turn, batch in enumerate(batches)])
    assert len(world.herald._again) <= 700  # noqa: SLF001, what isn't said yet is seen nowhere else
    world.run(*[(2 + turn, []) for turn in range(5)])
    assert len([payload for payload in _announced(world).values() if payload]) == 300


def test_withdrawn_when_gone(toy_bundle: Path) -> None:
    """A group that is set aside is taken back, and announced again when it comes back."""
    world = World(toy_bundle, most_groups=1, discovery=Discovery("ha", "base"))
    kept: dict[str, bytes] = {}
    world.memory.fetch = lambda names: {name: kept[name] for name in names if name in kept}
    world.run((1, [message(ts, HEALTHY, "p/a") for ts in range(3)]))
    kept["a"] = world.memory.dump("a") or b""
    (topic,) = [sent.topic for sent in world.sent if sent.whole]
    world.run((2, [message(0, topic="p/b")]), (3, []))
    assert _announced(world) == {topic: b"", "b": _announced(world)["b"]}
    world.run((4, [message(3, HEALTHY, "p/a")]), (5, []))
    assert "a" in _announced(world)
    assert "b" not in _announced(world)
