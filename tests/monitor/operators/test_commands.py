import json
from pathlib import Path

import pytest

from monitor.bundle.manifest import BaselineSpec
from monitor.core.times import format_iso
from monitor.operators.requests import RequestRejected, parse_request
from tests.monitor.operators.operator_pipeline import OperatorHarness, incident_id
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message
from tests.support.toy_bundle import FAULTY, HEALTHY, save_toy_bundle

BASELINE = BaselineSpec(floors=(0.08, 0.5, 0.08, 0.5))
DEVIATING = [20.0, 50.0, 80.0, 50.0]


@pytest.fixture
def operators(toy_bundle: Path, tmp_path: Path) -> OperatorHarness:
    """A pipeline without readings."""
    return OperatorHarness(toy_bundle, tmp_path)


def test_acknowledge(operators: OperatorHarness) -> None:
    """Open incidents are acknowledged by group, pattern or id; the state says so until they end."""
    for group in "abc":
        operators.send_readings(3, HEALTHY, HEALTHY, HEALTHY if group == "c" else FAULTY, group=group)
    assert operators.request_at(4, "acknowledge", group="?", transaction=[1]) == {
        "status": "ok",
        "count": 2,
        "incidents": [incident_id(3, "a"), incident_id(3, "b")],
        "transaction": [1],
    }
    assert [status["acknowledged"] for status in operators.harness.payloads("state/")[-2:]] == [True, True]
    assert ["a", "b"] in operators.harness.committed_groups, "it is committed"
    assert operators.request_at(5, "acknowledge", incident=incident_id(3, "a"))["incidents"] == [
        incident_id(3, "a")
    ]
    for name, content in {"incident": incident_id(9, "a"), "group": "c"}.items():
        assert operators.request_at(6, "acknowledge", **{name: content})["status"] == "error"
    operators.send_readings(9, HEALTHY, HEALTHY, HEALTHY, group="a")
    operators.send_readings(12, FAULTY, group="a")
    states = operators.harness.payloads("state/a")[-2:]
    assert [(status["incident"], status["acknowledged"]) for status in states] == [
        (None, False),
        (incident_id(12, "a"), False),
    ]


def test_silence(operators: OperatorHarness) -> None:
    """While a group is muted only its state is published; an incident open at the end is published then."""
    operators.send_readings(3, HEALTHY, HEALTHY, HEALTHY)
    assert operators.request_at(4, "silence", group="g", minutes=0.5)["until"].endswith(":54.000Z")
    operators.send_readings(5, FAULTY)
    operators.harness.run((33.9, []))
    assert (operators.events(), operators.harness.events) == ([], [])
    assert operators.harness.payloads("state/")[-1]["incident"] == incident_id(5)
    assert operators.harness.metric_value("alerts_firing") == 1
    operators.harness.run((34, []))
    assert operators.events() == [(incident_id(5), "firing")]
    assert [event.id for event in operators.harness.events] == [incident_id(5)]
    assert operators.harness.metric_value("alerts_total", status="firing") == 1
    assert operators.harness.committed_groups[-3:].count(["g"]) == 1, "it is committed"
    operators.send_readings(40, HEALTHY, HEALTHY, HEALTHY)
    assert operators.events() == [(incident_id(5), "firing"), (incident_id(5), "resolved")]
    assert [len(status["muted"]) for status in operators.harness.payloads("muted")] == [1, 0]


def test_silence_that_is_too_long(operators: OperatorHarness) -> None:
    """However long a mute would be, the setting that refuses it is named, with its minutes."""
    operators.harness.commands.mutes.longest = 600.0
    operators.send_readings(2, HEALTHY, HEALTHY)
    for minutes in (10.5, 43_201, 1e9, 1e305):
        answer = operators.request_at(3, "silence", group="g", minutes=minutes)
        assert answer["error"] == (
            f"a mute of {minutes:g} minutes is too long; operators.longest_mute allows 10"
        )
    assert operators.request_at(4, "silence", group="g", minutes=10)["status"] == "ok"


def test_silence_that_ends_early(operators: OperatorHarness) -> None:
    """With 0 minutes a pattern is unmuted; a pattern that isn't muted is rejected."""
    operators.send_readings(3, HEALTHY, HEALTHY, HEALTHY)
    operators.request_at(4, "silence", group="*", minutes=60)
    operators.send_readings(5, FAULTY)
    assert operators.request_at(6, "silence", group="g", minutes=0) == {
        "status": "error", "error": "'g' isn't muted; expected a pattern as it was given",
    }  # fmt: skip
    assert operators.events() == []
    assert operators.request_at(7, "silence", group="*", minutes=0) == {"status": "ok"}
    assert operators.events() == [(incident_id(5), "firing")]


def test_false_alarm(operators: OperatorHarness) -> None:
    """A false alarm ends the incident and writes its readings once, also when it is repeated."""
    operators.send_readings(5, HEALTHY, HEALTHY, FAULTY, FAULTY)
    assert operators.request_at(6, "false-alarm", group="g") == {"status": "ok", "incident": incident_id(4)}
    assert operators.events() == [(incident_id(4), "firing"), (incident_id(4), "resolved")]
    (ended,) = [event for event in operators.harness.payloads("alerts/") if event["status"] == "resolved"]
    assert ended["ended_at"].endswith(":25.000Z")
    assert (ended["reason"], ended["contributions"], ended["contributions_by_step"]) == (None, None, None)
    assert operators.harness.metric_value("alerts_firing") == 0
    assert operators.harness.payloads("state/")[-1]["incident"] is None
    assert operators.request_at(7, "false-alarm", incident=incident_id(4)) == {
        "status": "ok",
        "incident": incident_id(4),
    }
    operators.send_readings(8, FAULTY)
    assert operators.events()[2:] == [(incident_id(8), "firing")]
    assert operators.request_at(9, "false-alarm", incident=incident_id(4))["error"] == (
        f"incident {incident_id(4)!r} is not known any more; the latest is {incident_id(8)!r}"
    )
    operators.request_at(10, "false-alarm", group="g")
    rows = [line.split(",") for line in operators.file.read_text().splitlines()[1:]]
    # Both Faulty readings of the first incident, and of the second only what is not of the first.
    assert [(row[0], float(row[1]) - NOW) for row in rows] == [
        *((incident_id(4), ts) for ts in (2, 3, 4, 5)),
        *((incident_id(8), ts) for ts in (4, 5, 8)),
    ]


def test_false_alarm_with_a_baseline(tmp_path: Path) -> None:
    """A false alarm drops the baseline, and a group that was Faulty is warming."""
    save_toy_bundle(tmp_path / "bundle", baseline=BASELINE)
    operators = OperatorHarness(tmp_path / "bundle", tmp_path)
    for group in "gh":
        operators.send_readings(40, *[HEALTHY] * 39, DEVIATING, group=group)
    assert operators.harness.payloads("state/")[-1]["state"] == "faulty"
    operators.request_at(41, "false-alarm", group="g")
    (*_, status) = operators.harness.payloads("state/")
    assert (status["state"], status["incident"], status["since"]) == ("warming", None, format_iso(NOW + 40))
    operators.harness.run((200, []))
    assert operators.harness.payloads("state/")[-1]["state"] == "silent"
    operators.request_at(201, "false-alarm", group="h")
    (*_, status) = operators.harness.payloads("state/")
    assert (status["state"], status["incident"]) == ("silent", None)
    assert operators.harness.metric_value("groups", state="silent") == 2


def test_false_alarm_while_muted(operators: OperatorHarness) -> None:
    """The end of an incident that was never published isn't published either."""
    operators.send_readings(3, HEALTHY, HEALTHY, HEALTHY)
    operators.request_at(4, "silence", group="g", minutes=1)
    operators.send_readings(5, FAULTY)
    operators.request_at(6, "false-alarm", group="g")
    operators.harness.run((100, []))
    assert operators.events() == []


def test_false_alarm_file_not_writable(operators: OperatorHarness) -> None:
    """If the row can't be written, the response has the reason, and the incident stays open."""
    operators.send_readings(3, HEALTHY, HEALTHY, FAULTY)
    operators.file.mkdir()
    response = operators.request_at(4, "false-alarm", group="g")
    assert response["error"] == f"alerts.false_alarms: {operators.file}: Is a directory"
    assert operators.harness.payloads("state/")[-1]["incident"] == incident_id(3)


def test_response_waits_for_commit(operators: OperatorHarness) -> None:
    """No request is answered before its change is stored, and at most 50 requests wait."""
    operators.send_readings(3, HEALTHY, HEALTHY, FAULTY)
    operators.harness.commit_succeeds = operators.harness.commit_now_succeeds = False
    for _ in range(50):
        operators.send_request("acknowledge", group="g")
    operators.harness.run((4, []))
    assert operators.responses == []
    assert not operators.harness.commands.submit(
        parse_request("acknowledge", b'{"group":"g"}', retained=False), print
    )
    operators.harness.commit_now_succeeds = True
    operators.harness.run((5, []))
    assert [response["status"] for response in operators.responses] == ["ok"] * 50
    assert set(operators.harness.commit_now_calls[-1]) == {"g"}
    count = len(operators.harness.commit_now_calls)
    operators.harness.run((6, [message(4)]))
    assert len(operators.harness.commit_now_calls) == count, "no answer waits any more"


@pytest.mark.parametrize("name", ["acknowledge", "silence", "false-alarm"])
@pytest.mark.parametrize("group", ["nobody", "nobody/*", "g\n", "\ud7ff", "", "x" * 1000])
def test_unknown_group(operators: OperatorHarness, name: str, group: str) -> None:
    """A request for an unknown group is refused with its name, and nothing changes."""
    operators.send_readings(3, HEALTHY, HEALTHY, FAULTY)
    before = operators.harness.groups.dump("g")
    minutes = {"minutes": 5} if name == "silence" else {}
    if group:
        assert repr(group) in operators.request_at(4, name, group=group, **minutes)["error"]
    else:
        with pytest.raises(RequestRejected, match="length >= 1"):
            parse_request(name, json.dumps({"group": "", **minutes}).encode(), retained=False)
    assert operators.harness.groups.dump("g") == before
    assert not operators.file.exists()
    assert operators.harness.commands.mutes.entries() == []


def test_muted_group_that_was_evicted(toy_bundle: Path) -> None:
    """Held-back events of an evicted group are published when it is loaded after the end of the mute."""
    harness = PipelineHarness(toy_bundle, max_groups=1)
    values: dict[str, bytes] = {}
    harness.groups.fetch_states = lambda names: {name: values[name] for name in names if name in values}
    harness.commands.mutes.mute("a", 10, wall=NOW, now=0)
    harness.run((3, [message(ts, FAULTY, "p/a") for ts in range(3)]))
    values["a"] = harness.groups.dump("a") or b""
    harness.run((4, [message(3, topic="p/b")]), (20, []))
    assert "a" not in harness.groups
    harness.run((21, [message(5, FAULTY, "p/a")]))
    assert [event["id"] for event in harness.payloads("alerts/")] == [incident_id(2, "a")]


def test_group_that_was_evicted(toy_bundle: Path) -> None:
    """A request finds an evicted group in the store."""
    harness = PipelineHarness(toy_bundle, max_groups=1)
    responses: list[bytes] = []
    values: dict[str, bytes] = {}
    harness.run((3, [message(ts, FAULTY, "p/a") for ts in range(3)]))
    values["a"] = harness.groups.dump("a") or b""
    harness.groups.fetch_states = lambda names: {name: values[name] for name in names if name in values}
    harness.run((4, [message(3, topic="p/b")]))
    assert "a" not in harness.groups
    harness.commands.submit(parse_request("acknowledge", b'{"group":"a"}', retained=False), responses.append)
    harness.run((5, []))
    assert json.loads(responses[0])["incidents"] == [incident_id(2, "a")]
