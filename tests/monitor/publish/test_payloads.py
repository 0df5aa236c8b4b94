import json
import math
import re
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.times import format_iso
from monitor.core.verdicts import AlertEvent, GroupStatus, State
from monitor.publish.payloads import alert_payload, info_payload, muted_payload, state_payload
from tests.conftest import ROOT
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES, toy_manifest

QUICK = settings(derandomize=True, deadline=None, max_examples=200)
MANIFEST = toy_manifest()


def _event(status: str, ended_at: float | None) -> AlertEvent:
    return AlertEvent(
        id="line1/station7:1700000000250",
        status=status,
        group="line1/station7",
        score=0.75,
        started_at=1700000000.25,
        ended_at=ended_at,
        window_ts=[1699999990.25, 1699999995.25, 1700000000.25],
        window_values=[HEALTHY, HEALTHY, FAULTY],
        out_of_range=True,
    )


def test_alert() -> None:
    """A firing event has exactly the documented fields."""
    assert json.loads(alert_payload(_event("firing", None), MANIFEST)) == {
        "schema": 1,
        "id": "line1/station7:1700000000250",
        "status": "firing",
        "repeat": 0,
        "group": "line1/station7",
        "label": "Faulty",
        "score": 0.75,
        "threshold": 0.5,
        "started_at": "2023-11-14T22:13:20.250Z",
        "ended_at": None,
        "window": {
            "ts": [1699999990.25, 1699999995.25, 1700000000.25],
            "values": [HEALTHY, HEALTHY, FAULTY],
        },
        "contributions": None,
        "contributions_by_step": None,
        "reason": None,
        "out_of_range": True,
        "detector": "model",
        "kind": None,
        "bundle": MANIFEST.id,
    }


def test_examples() -> None:
    """The README's examples of an event and a state have the fields of real ones, in the same order."""
    readme = ROOT / "README.md"
    event, state = map(json.loads, re.findall(r"```json\n(.*?)```", readme.read_text(), flags=re.DOTALL))
    status = GroupStatus("g", State.FAULTY, 1.0, 0.75, out_of_range=True, incident="g:1000")
    assert list(event) == list(json.loads(alert_payload(_event("firing", None), MANIFEST)))
    assert list(state) == list(json.loads(state_payload(status)))


def test_explanation_fields() -> None:
    """The first event has each feature's contribution by name and the reason; a repeated event its number."""
    by_step = [[0.0] * 4, [0.0] * 4, [0.25, 0.0, 0.75, 0.0]]
    event = replace(
        _event("firing", None), contributions=by_step[2], contributions_by_step=by_step, reason="some reason"
    )
    content = json.loads(alert_payload(event, MANIFEST))
    assert content["contributions"] == {
        "temperature_1": 0.25,
        "humidity_1": 0.0,
        "temperature_2": 0.75,
        "humidity_2": 0.0,
    }
    assert (content["contributions_by_step"], content["reason"]) == (by_step, "some reason")
    assert json.loads(alert_payload(replace(event, repeat=2), MANIFEST))["repeat"] == 2


def test_resolved_alert() -> None:
    """A resolved event has the time at which the incident ended."""
    content = json.loads(alert_payload(_event("resolved", 1700000060.0), MANIFEST))
    assert (content["status"], content["ended_at"]) == ("resolved", "2023-11-14T22:14:20.000Z")
    assert content["started_at"] == "2023-11-14T22:13:20.250Z"


@pytest.mark.parametrize(("state", "value"), [(state, state.value) for state in State])
def test_state(state: State, value: str) -> None:
    """A state has exactly the documented fields, among them whether its incident is acknowledged."""
    status = GroupStatus(
        "line1/station7", state, 1.7e9, 0.25, out_of_range=False, incident="line1/station7:1", kind="gain"
    )
    assert json.loads(state_payload(status, acknowledged=True)) == {
        "group": "line1/station7",
        "state": value,
        "since": "2023-11-14T22:13:20.000Z",
        "score": 0.25,
        "out_of_range": False,
        "detector": None,
        "incident": "line1/station7:1",
        "kind": "gain",
        "acknowledged": True,
        "shows_from": None,
    }


def test_state_with_offsets() -> None:
    """A state has the smallest offset of each feature that would show, with three digits; null for none."""
    offsets = (0.412345, 25.0, math.inf, 1234.5)
    status = GroupStatus("g", State.NORMAL, 0.0, 0.1, False, None, shows_from=offsets)  # noqa: FBT003
    assert json.loads(state_payload(status, NAMES))["shows_from"] == {
        "temperature_1": 0.412,
        "humidity_1": 25.0,
        "temperature_2": None,
        "humidity_2": 1230.0,
    }


def test_muted() -> None:
    """The mutes are a list of patterns, each with its end."""
    assert json.loads(muted_payload([("line1/*", 1.7e9)])) == {
        "muted": [{"group": "line1/*", "until": "2023-11-14T22:13:20.000Z"}]
    }
    assert json.loads(muted_payload([])) == {"muted": []}


def test_state_without_verdict() -> None:
    """A group without a verdict and without an incident has null for both."""
    content = json.loads(state_payload(GroupStatus("g", State.FILLING, 0.0, None, False, None)))  # noqa: FBT003
    assert (content["score"], content["incident"], content["since"]) == (
        None,
        None,
        "1970-01-01T00:00:00.000Z",
    )


def test_info() -> None:
    """The info has version, bundle, topics, start, client id and instance, and nothing else."""
    assert json.loads(info_payload("1.2", MANIFEST, ("a/{x}",), 1.7e9, "me", "f00")) == {
        "version": "1.2",
        "bundle": MANIFEST.id,
        "topics": ["a/{x}"],
        "started_at": "2023-11-14T22:13:20.000Z",
        "client_id_sha256": "2744ccd10c7533bd736ad890f9dd5cab2adb27b07d500b9493f29cdc420cb2e0",
        "instance": "f00",
    }


@pytest.mark.parametrize(("ts", "text"), [(0.0004, "00.000"), (0.0006, "00.001"), (0.9996, "01.000")])
def test_iso_rounds(ts: float, text: str) -> None:
    """A time is rounded to the millisecond, as in an incident's id, and not truncated."""
    assert format_iso(1699999980 + ts) == f"2023-11-14T22:13:{text}Z"


@QUICK
@given(st.integers(0, 7258118400000))
def test_iso_keeps_milliseconds(milliseconds: int) -> None:
    """A time in whole milliseconds is the same after formatting and parsing, up to the year 2200."""
    text = format_iso(milliseconds / 1000)
    assert text.endswith("Z")
    assert round(datetime.fromisoformat(text).timestamp() * 1000) == milliseconds


@QUICK
@given(st.floats(0, 253402300799))
def test_iso_never_fails(ts: float) -> None:
    """Any time that the decode stage accepts can be formatted."""
    assert datetime.fromisoformat(format_iso(ts)).timestamp() == pytest.approx(ts, abs=0.002)
