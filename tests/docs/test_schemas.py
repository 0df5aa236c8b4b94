import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, ValidationError

from monitor.core.verdicts import AlertEvent, Detector, GroupStatus, State
from monitor.detect.fault_kind import FAULT_KINDS
from monitor.operators import requests
from monitor.publish.payloads import alert_payload, info_payload, muted_payload, state_payload
from tests.conftest import ROOT
from tests.docs.pages import PAGES, code_blocks, name
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES, toy_manifest

SCHEMAS = ROOT / "docs" / "reference" / "schemas"
FILES = sorted(SCHEMAS.glob("*.json"))
MANIFEST = toy_manifest()
BEGIN = AlertEvent(
    id="line1/station7:1700000000250",
    status="firing",
    group="line1/station7",
    score=0.75,
    started_at=1700000000.25,
    ended_at=None,
    window_ts=[1699999990.25, 1699999995.25, 1700000000.25],
    window_values=[HEALTHY, HEALTHY, FAULTY],
    out_of_range=True,
    contributions=[0.0, 0.0, 1.0, 0.0],
    contributions_by_step=[[0.0] * 4, [0.0] * 4, [0.0, 0.0, 1.0, 0.0]],
    reason="temperature_2 reads 30 degC, its neighbour temperature_1 20",
)
WITHOUT_REASON = {"contributions": None, "contributions_by_step": None, "reason": ""}
ALERTS = [
    BEGIN,
    *(replace(BEGIN, kind=kind) for kind in FAULT_KINDS),
    replace(BEGIN, contributions_by_step=None),
    replace(BEGIN, score=None, contributions=None, contributions_by_step=None, detector="limits"),
    replace(BEGIN, repeat=2, **WITHOUT_REASON),
    replace(BEGIN, status="resolved", ended_at=1700000060.0, **WITHOUT_REASON),
]
STATES = [GroupStatus("g", state, 1.7e9, 0.25, out_of_range=False, incident="g:1000") for state in State]
STATES += [GroupStatus("g", State.FILLING, 0.0, None, out_of_range=False, incident=None)]
STATES += [replace(STATES[0], detector=detector.label) for detector in Detector]
STATES += [replace(STATES[0], stale=((2, 1.7e9),), kind="stuck", shows_from=(0.4, 2.5, math.inf, 2.5))]
PAYLOADS = {
    "alert-event": [alert_payload(event, MANIFEST) for event in ALERTS],
    "state": [state_payload(state, NAMES, acknowledged=state.incident is not None) for state in STATES],
    "info": [info_payload("1.2", MANIFEST, ("a/{x}",), 1.7e9, "me", "f00")],
    "muted": [muted_payload([("line1/*", 1.7e9)]), muted_payload([])],
    "response": [
        requests.response_payload(None),
        requests.response_payload({"my": "id"}, "no open incident"),
        requests.response_payload(1, result={"until": "2023-11-14T22:13:20.000Z", "count": 3}),
        requests.response_payload(None, result={"count": 1, "incidents": ["g:1000"]}),
        requests.response_payload(None, result={"incident": "g:1000"}),
        requests.response_payload(None, result={"count": 2}),
    ],
}
TABLES_OF_FEATURES = ("state.properties.stale", "state.properties.shows_from")
OPTIONAL_KEYS = {"state": {"stale"}}
REQUESTS = [
    ("acknowledge", {"group": "line1/*"}),
    ("acknowledge", {"incident": "g:1000", "transaction": 7}),
    ("acknowledge", {}),
    ("acknowledge", {"group": "g", "incident": "g:1000"}),
    ("acknowledge", {"group": ""}),
    ("silence", {"group": "line1/*", "minutes": 30}),
    ("silence", {"group": "line1/*", "minutes": 0}),
    ("silence", {"group": "line1/*", "minutes": -1}),
    ("silence", {"group": "line1/*", "minutes": 43_201}),
    ("silence", {"group": "line1/*"}),
    ("false-alarm", {"group": "line1/station7"}),
    ("false-alarm", {"incident": "g:1000"}),
    ("false-alarm", {"group": 7}),
    ("forget", {"group": "line1/*", "transaction": [1]}),
    ("forget", {"group": ""}),
    ("forget", {}),
    ("reload", {}),
    ("reload", {"transaction": None}),
    *(
        (kind, {"group": "g", "colour": "red"})
        for kind in ("acknowledge", "silence", "false-alarm", "forget", "reload")
    ),
]


def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _accepts(kind: str, content: Any) -> bool:
    return bool(_validator(kind).is_valid(content))


@pytest.mark.parametrize(
    ("kind", "payload"), [(kind, payload) for kind, payloads in PAYLOADS.items() for payload in payloads]
)
def test_payloads_are_as_documented(kind: str, payload: bytes) -> None:
    """What the monitor publishes fits its schema, which has no key that isn't published."""
    content = json.loads(payload)
    _validator(kind).validate(content)
    if kind != "response":
        declared = json.loads((SCHEMAS / f"{kind}.json").read_text())["properties"]
        assert set(declared) - set(content) <= OPTIONAL_KEYS.get(kind, set())


def test_optional_keys() -> None:
    """Keys that are published at times only are published by one of these payloads."""
    for kind, keys in OPTIONAL_KEYS.items():
        assert keys <= {key for payload in PAYLOADS[kind] for key in json.loads(payload)}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_undeclared_keys_are_noticed(kind: str) -> None:
    """A key that no schema declares is refused, so a new one in a payload fails the test above."""
    content = json.loads(PAYLOADS[kind][0])
    with pytest.raises(ValidationError):
        _validator(kind).validate({**content, "undeclared": 1})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_schemas_are_closed(file: Path) -> None:
    """Each schema is one, and each object in it declares all its keys, but for tables of features."""
    _validator(file.stem)

    def walk(part: Any, where: str) -> None:
        if isinstance(part, dict):
            if part.get("type") == "object" and where not in TABLES_OF_FEATURES:
                assert part["additionalProperties"] is False, where
            for key, inner in part.items():
                walk(inner, f"{where}.{key}")

    walk(json.loads(file.read_text()), file.stem)


def test_contributions_are_by_feature() -> None:
    """The tables without declared keys have the features' names."""
    assert list(json.loads(PAYLOADS["alert-event"][0])["contributions"]) == list(NAMES)
    assert set(json.loads(PAYLOADS["state"][-1])["stale"]) == {NAMES[2]}
    assert list(json.loads(PAYLOADS["state"][-1])["shows_from"]) == list(NAMES)


@pytest.mark.parametrize(("kind", "content"), REQUESTS)
def test_requests_are_as_documented(kind: str, content: dict[str, Any]) -> None:
    """The monitor takes a request exactly where the schema does."""
    try:
        requests.parse_request(kind, msgspec.json.encode(content), retained=False)
        taken = True
    except requests.RequestRejected:
        taken = False
    assert _accepts(f"request-{kind}", content) == taken


@pytest.mark.parametrize("page", [page for page in PAGES if code_blocks(page, "json")], ids=name)
def test_examples_are_as_documented(page: Path) -> None:
    """The events and states that pages show fit the schemas, with the keys of real ones in their order."""
    for text in code_blocks(page, "json"):
        content = json.loads(text)
        kind = "alert-event" if "status" in content else "state"
        _validator(kind).validate(content)
        assert list(content) == list(json.loads(PAYLOADS[kind][0]))
