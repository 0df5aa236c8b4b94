from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import bundle
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.service.settings_to_stages import build_scoring
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message
from tests.support.toy_bundle import FAULTY, HEALTHY

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
STREAM = [HEALTHY, HEALTHY, HEALTHY, FAULTY, HEALTHY, HEALTHY, HEALTHY, HEALTHY, FAULTY]


@QUICK
@given(cut=st.integers(0, len(STREAM)), silent=st.booleans())
def test_move_in_mid_stream(toy_bundle: Path, cut: int, *, silent: bool) -> None:
    """Groups that move to another process in mid-stream give the same messages as without the move."""
    messages = [message(ts, values, f"p/{group}") for ts, values in enumerate(STREAM) for group in "ab"]
    pause = 100.0 if silent else 1.0
    whole, first, second = (
        PipelineHarness(toy_bundle),
        PipelineHarness(toy_bundle),
        PipelineHarness(toy_bundle),
    )
    whole.run((1.0, messages[: 2 * cut]), (1.0 + pause, []), (1.0 + pause, messages[2 * cut :]))
    first.run((1.0, messages[: 2 * cut]), (1.0 + pause, []))
    for group in ("a", "b"):
        value = first.groups.dump(group)
        assert (value is None) == (cut == 0)
        if value is not None:
            second.groups.load(group, value, 1.0 + pause)
    second.run((1.0 + pause, messages[2 * cut :]))
    assert first.payloads("alerts/") + second.payloads("alerts/") == whole.payloads("alerts/")
    assert first.payloads("state/") + second.payloads("state/") == whole.payloads("state/")
    for state in ("filling", "normal", "faulty", "silent"):
        assert second.metric_value("groups", state=state) == whole.metric_value("groups", state=state)


@pytest.mark.parametrize("value", [b"", b"\x93\x01\x02\x03", b"\x93\xc4\x00\xc4\x00\xc4\x00", b"\x80"])
def test_damaged_value(toy_bundle: Path, value: bytes) -> None:
    """A value that isn't the state of a group, or has an older format, is rejected."""
    harness = PipelineHarness(toy_bundle)
    with pytest.raises(ValueError, match="state of 'g' can't be read"):
        harness.groups.load("g", value, 0.0)
    assert "g" not in harness.groups


def _parts(harness: PipelineHarness, group: str = "g") -> dict[str, Any]:
    """Return the envelope of a group as a dictionary."""
    parts: dict[str, Any] = msgspec.msgpack.decode(harness.groups.dump(group) or b"")
    return parts


def test_envelope(toy_bundle: Path) -> None:
    """The value names its parts and the version of their set."""
    harness = PipelineHarness(toy_bundle)
    harness.run((1.0, [message(0)]))
    parts = _parts(harness)
    assert list(parts) == [
        "version",
        "windows",
        "baseline",
        "alerts",
        "status",
        "incident",
        "alignment",
        "checks",
    ]
    assert parts["version"] == 1


@pytest.mark.parametrize("part", ["version", "windows", "alerts", "status", "incident"])
@pytest.mark.parametrize("damage", ["missing", "other version", "truncated"])
def test_damaged_part(toy_bundle: Path, part: str, damage: str) -> None:
    """A value with a part that is missing, damaged or of another version is rejected as a whole."""
    first, second = PipelineHarness(toy_bundle), PipelineHarness(toy_bundle)
    first.run((1.0, [message(ts, FAULTY) for ts in range(3)]))
    parts = _parts(first)
    if damage == "missing":
        del parts[part]
    elif part == "version":
        parts[part] = {"other version": 2, "truncated": 0}[damage]
    elif damage == "truncated":
        parts[part] = parts[part][:5]
    elif part in {"alerts", "incident"}:  # msgpack arrays that begin with their version
        parts[part] = parts[part][:1] + b"\x63" + parts[part][2:]
    else:  # records that begin with their version
        parts[part] = b"\x63\x00" + parts[part][2:]
    with pytest.raises(ValueError, match="'g'"):
        second.groups.load("g", msgspec.msgpack.encode(parts), 0.0)
    assert ("g" in second.groups, second.groups._scoring.groups()) == (False, [])  # noqa: SLF001
    assert second.groups.firing_count == 0


def test_no_clock_in_the_value(toy_bundle: Path) -> None:
    """The value of a group doesn't depend on the monotonic clock or on the other groups of its process."""
    first, second = PipelineHarness(toy_bundle), PipelineHarness(toy_bundle)
    first.run((1.0, [message(ts) for ts in range(4)]))
    second.run((500.0, [message(0, topic="p/other")]), (501.0, [message(ts) for ts in range(4)]))
    assert first.groups.dump("g") == second.groups.dump("g")


@pytest.mark.parametrize("field", ["since", "last_ts", "state"])
def test_damaged_status(toy_bundle: Path, field: str) -> None:
    """A status with impossible numbers is rejected, and no part of the group is kept."""
    harness = PipelineHarness(toy_bundle)
    harness.run((1.0, [message(ts, FAULTY) for ts in range(3)]))
    parts = _parts(harness)
    size = len(parts["status"])
    layout = harness.groups._status._table.records.dtype  # noqa: SLF001, as on disk
    record = np.frombuffer(parts["status"].ljust(layout.itemsize, b"\0"), layout).copy()
    record[field] = {"state": 99}.get(field, np.nan)
    parts["status"] = record.tobytes()[:size]
    other = PipelineHarness(toy_bundle)
    with pytest.raises(ValueError, match="'g'"):
        other.groups.load("g", msgspec.msgpack.encode(parts), 0.0)
    assert (other.groups._scoring.groups(), other.groups.firing_count) == ([], 0)  # noqa: SLF001


def test_least_recent_group_is_evicted(toy_bundle: Path) -> None:
    """Beyond max_groups the groups with the oldest readings are evicted, and restored later with state."""
    harness = PipelineHarness(toy_bundle, max_groups=2)
    stored: dict[str, bytes] = {}

    def fetch(names: list[str]) -> dict[str, bytes]:
        return {name: stored[name] for name in names if name in stored}

    harness.groups.fetch_states = fetch
    harness.run((1.0, [message(0, FAULTY, "p/a"), message(1, FAULTY, "p/a"), message(2, FAULTY, "p/a")]))
    (incident,) = harness.payloads("alerts/")
    value = harness.groups.dump("a")
    assert value is not None
    stored["a"] = value
    harness.run((2.0, [message(0, topic="p/b"), message(0, topic="p/c")]))
    assert ("a" in harness.groups, len(harness.groups)) == (False, 2)
    assert harness.metric_value("groups_set_aside_total") == 1
    assert harness.metric_value("alerts_firing") == 0
    harness.run((3.0, [message(2, FAULTY, "p/a"), message(3, HEALTHY, "p/a")]))
    assert harness.outcomes()["duplicate"] == 1
    harness.run((4.0, [message(ts, HEALTHY, "p/a") for ts in (4, 5)]))
    assert [event["id"] for event in harness.payloads("alerts/")] == [incident["id"]] * 2


def test_evicted_group_with_damaged_state(toy_bundle: Path) -> None:
    """An evicted group whose stored state is damaged starts as a new group, and the log says so."""
    harness = PipelineHarness(toy_bundle, max_groups=1)
    harness.groups.fetch_states = lambda names: dict.fromkeys(names, b"nonsense")
    harness.run((1.0, [message(0, topic="p/a")]), (2.0, [message(0, topic="p/b")]))
    harness.run((3.0, [message(1, topic="p/a")]))
    assert harness.outcomes() == {"filling": 3}
    (reason,) = harness.load_errors
    assert "'a' can't be read" in reason


def test_stages_change(toy_bundle: Path) -> None:
    """Other stages continue in mid-stream: no window is lost and the incident keeps its id."""
    harness = PipelineHarness(toy_bundle)
    harness.run((1.0, [message(ts, FAULTY) for ts in (0, 1, 2)]))
    loaded = bundle.load(toy_bundle)
    scoring = build_scoring(loaded, WindowSettings(), AlertSettings(clear_after=2))
    replaced = harness.replace(scoring, loaded.manifest, stale_after=5.0)
    harness.run((2.0, [message(ts, HEALTHY) for ts in (3, 4, 5)]))
    assert replaced.done.is_set()
    assert harness.outcomes() == {"filling": 2, "judged": 4}
    assert [event["status"] for event in harness.payloads("alerts/")] == ["firing"]
    harness.run((3.0, [message(6, HEALTHY)]))
    assert [event["status"] for event in harness.payloads("alerts/")] == ["firing", "resolved"]
    assert len({event["id"] for event in harness.payloads("alerts/")}) == 1
    harness.run((8.0, []))
    assert harness.metric_value("groups", state="silent") == 1


def test_expected_group(toy_bundle: Path) -> None:
    """An expected group that never sends is silent after stale_after, counted from the start."""
    harness = PipelineHarness(toy_bundle)
    harness.groups.register_expected(["mute", "g"], 0.0, NOW)
    harness.run((1.0, [message(0)]), (60.0, []))
    (status,) = [status for status in harness.payloads("state/") if status["group"] == "mute"]
    assert (status["state"], status["since"]) == ("silent", "2023-11-14T22:13:20.000Z")


def test_expected_group_that_was_evicted(toy_bundle: Path) -> None:
    """An expected group that was evicted is loaded at the start, with its incident."""
    before = PipelineHarness(toy_bundle)
    before.run((1.0, [message(ts, FAULTY) for ts in range(3)]))
    stored = before.groups.dump("g") or b""
    harness = PipelineHarness(toy_bundle)
    harness.groups.fetch_states, harness.groups.has_evicted = (
        lambda names: {"g": stored} if "g" in names else {},
        True,
    )
    harness.groups.register_expected(["g"], 0.0, NOW)
    assert harness.groups.statuses(["g"]) == before.groups.statuses(["g"])
