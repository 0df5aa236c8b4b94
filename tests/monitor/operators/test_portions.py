"""Requests that look at many groups, and mutes of many groups that end, hold up no batch."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.operators import commands
from monitor.operators.requests import parse_request
from tests.monitor.operators.operator_pipeline import OperatorHarness
from tests.monitor.service.pipeline_fixture import message
from tests.support.toy_bundle import FAULTY

_GROUPS = [f"g{number:03d}" for number in range(200)]


@pytest.fixture
def operators(toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OperatorHarness:
    """A pipeline with 200 groups, in which the time for requests is always up at once."""
    monkeypatch.setattr(commands, "_MAX_SECONDS_PER_TURN", -1.0)
    built = OperatorHarness(toy_bundle, tmp_path)
    built.harness.run((2, [message(ts, topic=f"p/{name}") for name in _GROUPS for ts in range(3)]))
    return built


def answer_after_turns(
    operators: OperatorHarness, begin: float, name: str, **content: object
) -> tuple[int, dict[str, Any]]:
    """Send a request, let readings come, and return the number of turns until the answer, and the answer."""
    before, answers = operators.harness.calls.count("take"), []

    def respond(response: bytes) -> None:
        answers.append((operators.harness.calls.count("take") - before, json.loads(response)))

    request = parse_request(name, json.dumps(content).encode(), retained=False)
    assert operators.harness.commands.submit(request, respond)
    operators.harness.run(*((begin + turn, [message(begin + turn, topic="p/other")]) for turn in range(8)))
    (answer,) = answers
    return answer


def test_acknowledge(operators: OperatorHarness) -> None:
    """Incidents are acknowledged some at a time, while readings are judged; all are stored at the answer."""
    operators.harness.run((3, [message(3, FAULTY, f"p/{name}") for name in _GROUPS]))
    operators.harness.commit_succeeds = False
    turns, answer = answer_after_turns(operators, 4, "acknowledge", group="g*")
    assert (turns, answer["count"]) == (4, 200)
    assert set(operators.harness.commit_now_calls[-1]) >= set(_GROUPS)
    assert operators.harness.metric_value("readings_total", outcome="judged") == 200 * 2 + 6


def test_group_that_is_forgotten_meanwhile(operators: OperatorHarness) -> None:
    """A group that goes while a request looks at the others does no harm."""
    operators.harness.run((3, [message(3, FAULTY, f"p/{name}") for name in _GROUPS]))
    operators.harness.commands.submit(
        parse_request("acknowledge", b'{"group": "*"}', retained=False), lambda _: None
    )
    operators.harness.commands.process([], [], 4.0)
    operators.harness.groups.delete(["g199"])
    changes = [operators.harness.commands.process([], [], 5.0 + turn) for turn in range(4)]
    assert "g199" not in [name for change in changes for name in change.changed_groups]


def test_forget(operators: OperatorHarness) -> None:
    """Nothing is forgotten before all groups were looked at."""
    turns, answer = answer_after_turns(operators, 3, "forget", group="*1*")
    assert (turns, answer["count"]) == (4, sum("1" in name for name in _GROUPS))


def test_end_of_a_mute(operators: OperatorHarness) -> None:
    """After a mute events come some at a time, and those of a group that goes on are not out of order."""
    answer_after_turns(operators, 3, "silence", group="g*", minutes=1)
    operators.harness.run((12, [message(12, FAULTY, f"p/{name}") for name in _GROUPS]))
    assert operators.events() == []
    assert len(operators.harness.muted_events) == 200
    request = parse_request("silence", b'{"group": "g*", "minutes": 0}', retained=False)
    operators.harness.commands.submit(request, lambda _: None)
    released = operators.harness.commands.process([], [], 13.0).events
    assert 0 < len(released) < 200
    rest = [
        event for turn in range(4) for event in operators.harness.commands.process([], [], 14.0 + turn).events
    ]
    assert {event.group for event in released + rest} == set(_GROUPS)
    assert len(released) + len(rest) == 200


def test_muted_groups(operators: OperatorHarness) -> None:
    """How many groups are muted is counted some at a time."""
    answer_after_turns(operators, 3, "silence", group="g00*", minutes=1)
    assert operators.harness.commands.muted_group_count == 10
    operators.harness.run((100, []))
    assert operators.harness.commands.muted_group_count == 0
