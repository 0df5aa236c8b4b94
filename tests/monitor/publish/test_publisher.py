import json
from pathlib import Path

from monitor.publish.home_assistant import Discovery
from tests.monitor.service.pipeline_fixture import PipelineHarness, message
from tests.support.toy_bundle import FAULTY, HEALTHY

HOUR_S = 3600.0


def _state_topics(harness: PipelineHarness) -> list[str]:
    return [outbound.topic for outbound in harness.messages if outbound.topic.startswith("state/")]


def _announcements(harness: PipelineHarness) -> dict[str, bytes]:
    """Return the last payload on each discovery topic, by the group's name or the topic."""
    found = {outbound.topic: outbound.payload for outbound in harness.messages if outbound.is_full_topic}
    return {json.loads(payload)["name"] if payload else topic: payload for topic, payload in found.items()}


def test_states_are_republished(toy_bundle: Path) -> None:
    """All states are published again every eight hours, so that none expires while the monitor runs."""
    harness = PipelineHarness(toy_bundle)
    harness.run((1, [message(0, topic="p/a"), message(0, topic="p/b")]), (100, []))
    harness.messages.clear()
    harness.run((8 * HOUR_S - 1, []))
    assert _state_topics(harness) == []
    harness.run((8 * HOUR_S, []), (8 * HOUR_S + 0.1, []), (9 * HOUR_S, []))
    assert _state_topics(harness) == ["state/a", "state/b"]
    harness.run((16 * HOUR_S, []))
    assert _state_topics(harness) == ["state/a", "state/b"] * 2
    assert not any(outbound.is_full_topic for outbound in harness.messages)


def test_newest_state_counts(toy_bundle: Path) -> None:
    """A state that had to wait is published once, with the newest values."""
    harness = PipelineHarness(toy_bundle)
    harness.max_states_per_turn = 0
    harness.run((1, [message(0)]), (2, [message(1), message(2)]), (3, [message(3, FAULTY)]))
    assert _state_topics(harness) == []
    harness.max_states_per_turn = None
    harness.run((4, []))
    assert [(status["group"], status["state"]) for status in harness.payloads("state/")] == [("g", "faulty")]


def test_states_go_out_one_by_one(toy_bundle: Path) -> None:
    """States beyond the limit are published later, in order, and none twice."""
    harness = PipelineHarness(toy_bundle)
    harness.max_states_per_turn = 2
    topics = [f"p/{number}" for number in range(5)]
    harness.run((1, [message(0, topic=topic) for topic in topics]), (2, []), (3, []), (4, []))
    assert _state_topics(harness) == [f"state/{number}" for number in range(5)]


def test_pending_state_of_evicted_group(toy_bundle: Path) -> None:
    """If a group is evicted before its state was published, the state is still published."""
    harness = PipelineHarness(toy_bundle, max_groups=1)
    harness.max_states_per_turn = 0
    harness.run((1, [message(0, topic="p/a")]), (2, [message(0, topic="p/b")]), (3, []))
    assert [(status["group"], status["state"]) for status in harness.payloads("state/")] == [("a", "filling")]


def test_states_are_published_at_start(toy_bundle: Path) -> None:
    """A new process publishes the states of all groups: the previous one may not have published some."""
    before = PipelineHarness(toy_bundle)
    before.max_states_per_turn = 0
    before.run((1, [message(ts) for ts in range(3)]))
    harness = PipelineHarness(toy_bundle, stored={"g": before.groups.dump("g") or b""})
    harness.run((1, []), (2, []))
    assert [(status["group"], status["state"]) for status in harness.payloads("state/")] == [("g", "normal")]


def test_republish_in_batches(toy_bundle: Path) -> None:
    """Many states are published again in portions, each group once."""
    harness = PipelineHarness(toy_bundle)
    groups = [f"p/{number}" for number in range(500)]
    harness.run((1, [message(0, topic=topic) for topic in groups]), (100, []))
    harness.messages.clear()
    sizes = []
    for step in range(5):
        before = len(_state_topics(harness))
        harness.run((8 * HOUR_S + step / 2, []))
        sizes.append(len(_state_topics(harness)) - before)
    assert sizes == [200, 200, 100, 0, 0]
    assert len(set(_state_topics(harness))) == 500


def test_bundle_is_named(toy_bundle: Path) -> None:
    """Messages with a verdict have the id of the bundle that judged it, and other messages have no id."""
    harness = PipelineHarness(toy_bundle, discovery=Discovery("ha", "base"))
    harness.retained_lost.set()
    harness.run((1, [message(ts, FAULTY) for ts in range(3)]))
    kinds = {outbound.topic.partition("/")[0]: outbound.bundle_id for outbound in harness.messages}
    assert set(kinds) == {"state", "alerts", "muted", "ha"}
    assert kinds["state"] == kinds["alerts"] == json.loads(harness.messages[0].payload)["bundle"]
    assert kinds["muted"] == kinds["ha"] == ""


def test_announced_when_known(toy_bundle: Path) -> None:
    """Only new groups are announced, and all groups when Home Assistant restarts."""
    harness = PipelineHarness(toy_bundle, discovery=Discovery("ha", "base"))
    harness.run((1, [message(0, topic="p/a")]), (2, [message(0, topic="p/b")]))
    assert list(_announcements(harness)) == ["a", "b"]
    harness.messages.clear()
    harness.run((3, [message(1, topic="p/a")]))
    assert _announcements(harness) == {}
    harness.home_assistant_restarted.set()
    harness.run((4, []))
    assert list(_announcements(harness)) == ["a", "b"]
    assert not harness.home_assistant_restarted.is_set()


def test_announcement_queue_is_bounded(toy_bundle: Path) -> None:
    """If groups are evicted faster than they can be announced, the queue stays bounded."""
    harness = PipelineHarness(toy_bundle, max_groups=300, discovery=Discovery("ha", "base"))
    batches = [[message(0, topic=f"p/{10 * turn}{number}") for number in range(10)] for turn in range(200)]
    harness.run(*[(1 + turn / 1e6, batch) for turn, batch in enumerate(batches)])
    assert len(harness.publisher._republish_queue) <= 700  # noqa: SLF001, the queue can be seen nowhere else
    harness.run(*[(2 + turn, []) for turn in range(5)])
    assert len([payload for payload in _announcements(harness).values() if payload]) == 300


def test_withdrawn_when_evicted(toy_bundle: Path) -> None:
    """The announcement of an evicted group is withdrawn, and made again when the group comes back."""
    harness = PipelineHarness(toy_bundle, max_groups=1, discovery=Discovery("ha", "base"))
    stored: dict[str, bytes] = {}
    harness.groups.fetch_states = lambda names: {name: stored[name] for name in names if name in stored}
    harness.run((1, [message(ts, HEALTHY, "p/a") for ts in range(3)]))
    stored["a"] = harness.groups.dump("a") or b""
    (topic,) = [outbound.topic for outbound in harness.messages if outbound.is_full_topic]
    harness.run((2, [message(0, topic="p/b")]), (3, []))
    assert _announcements(harness) == {topic: b"", "b": _announcements(harness)["b"]}
    harness.run((4, [message(3, HEALTHY, "p/a")]), (5, []))
    assert "a" in _announcements(harness)
    assert "b" not in _announcements(harness)
