"""The kind of an incident's fault, with the default bundle."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from monitor import bundle
from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.arrays import FloatArray
from monitor.core.readings import Readings
from monitor.core.verdicts import AlertEvent
from monitor.detect.alert_state import AlertState
from monitor.detect.fault_kind import FAULT_KINDS
from monitor.detect.scoring import ScoredBatch, Scoring
from monitor.service.settings_to_stages import build_scoring
from tests.support.toy_bundle import save_toy_bundle

FAULT_START, FAULT_LENGTH = 300, 20
FaultFunction = Callable[[FloatArray], FloatArray]
"""Makes faulty values of one feature of true values (reading,)."""
NUMBERS = np.arange(FAULT_LENGTH)
FAULTS: dict[str, FaultFunction] = {
    "offset": lambda values: values + 3.0,
    "gain": lambda values: values * 1.2,
    "stuck": lambda values: np.full(len(values), values.max() + 6.0),
    "bounds": lambda values: values + 30.0,
    "spike": lambda values: values + np.where(NUMBERS < 2, 3.0, 0.0),
    "loss": lambda values: values * 0,
    "drift": lambda values: values + 0.6 + 0.15 * NUMBERS,
    "noise": lambda values: values + np.where(NUMBERS % 3, 2.0, -2.0) * (1 + NUMBERS % 4),
}
IMPOSSIBLE: FaultFunction = lambda values: values + 3000.0  # noqa: E731


def _plant_values(move: float = 2.0, resolution: float = 0.01, readings: int = 400) -> FloatArray:
    """Return healthy readings (reading, feature) of a plant.

    Parameters
    ----------
    move : amplitude of the true temperature, with a period of 200 readings, degC.
    resolution : step in which the sensors report.
    """
    rng = np.random.default_rng(5)
    temperature = 21 + move * np.sin(2 * np.pi * np.arange(readings) / 200)
    humidity = 50 - 2 * (temperature - 21)
    columns = [temperature, humidity, temperature + 0.2, humidity - 0.5]
    values = np.column_stack([column + rng.normal(0, 0.02, readings) for column in columns])
    rounded: FloatArray = np.round(np.round(values / resolution) * resolution, 4)
    return rounded


def _with_fault(values: FloatArray, fault: FaultFunction, feature: int = 2) -> FloatArray:
    rows = slice(FAULT_START, FAULT_START + FAULT_LENGTH)
    result = values.copy()
    result[rows, feature] = np.round(fault(values[rows, feature]), 4)
    return result


def _scoring(folder: Path = DEFAULT_BUNDLE_FOLDER, **alerts: object) -> Scoring:
    return build_scoring(bundle.load(folder), WindowSettings(), AlertSettings.model_validate(alerts))


def _readings(values: FloatArray, first: int = 0) -> Readings:
    return Readings(
        groups=["g"] * len(values),
        ts=(first + np.arange(len(values))) * 5.0,
        values=values,
        arrived_at=np.full(len(values), np.inf),
        arrived_monotonic=np.zeros(len(values)),
        redelivered=np.zeros(len(values), dtype=np.bool_),
    )


def _judge_in_parts(scoring: Scoring, values: FloatArray, size: int) -> Iterator[ScoredBatch]:
    for first in range(0, len(values), size):
        yield scoring.judge(_readings(values[first : first + size], first))


def _events(values: FloatArray, **alerts: object) -> list[AlertEvent]:
    return _scoring(**alerts).judge(_readings(values)).events


def _kinds(values: FloatArray) -> list[str | None]:
    return [event.kind for event in _events(values)]


def test_all_kinds_are_tested() -> None:
    """Each kind that an event may have is among the tested ones."""
    assert set(FAULTS) == set(FAULT_KINDS)


@pytest.mark.parametrize("feature", range(4))
@pytest.mark.parametrize("kind", list(FAULTS))
def test_resolved_event_has_the_kind(kind: str, feature: int) -> None:
    """The event that ends an incident says what kind of fault it was, whichever sensor had it."""
    scale = 1 if feature % 2 == 0 or kind in {"gain", "stuck", "loss"} else 4  # %RH are smaller than degC

    def fault(healthy: FloatArray) -> FloatArray:
        return healthy + scale * (FAULTS[kind](healthy) - healthy)

    values = _with_fault(_plant_values(), fault, feature)
    firing, resolved = _events(values)
    assert (firing.status, resolved.status, resolved.kind) == ("firing", "resolved", kind)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(fault, "loss" if kind == "loss" else None) for kind, fault in FAULTS.items()]
    + [(IMPOSSIBLE, "bounds")],
)
def test_first_event_has_what_one_reading_tells(fault: FaultFunction, kind: str | None) -> None:
    """At the first faulty reading only a value of 0 and a value that can't be have a kind."""
    assert _kinds(_with_fault(_plant_values(), fault))[0] == kind


def test_gain_looks_like_an_offset_until_the_value_moves() -> None:
    """Where the true value stays the same, a gain is an error that stays the same: an offset."""
    assert _kinds(_with_fault(_plant_values(move=0.0), FAULTS["gain"]))[-1] == "offset"


def test_still_sensor_of_a_still_plant() -> None:
    """Where the neighbour doesn't change its value either, nobody can tell that a sensor is stuck."""
    values = _plant_values(move=0.0, resolution=0.5)
    assert _kinds(_with_fault(values, lambda values: np.full(len(values), 24.0)))[-1] is None


def test_far_is_relative_to_what_the_group_had() -> None:
    """An error that is far for one plant is an offset where the values range as far."""
    fault: FaultFunction = lambda values: values + 12.0  # noqa: E731
    assert _kinds(_with_fault(_plant_values(move=0.5), fault))[-1] == "bounds"
    assert _kinds(_with_fault(_plant_values(move=8.0), fault))[-1] == "offset"


def test_two_faulty_sensors_are_one_kind() -> None:
    """A fault of both sensors of a mote has the kind of the two."""
    values = _with_fault(_with_fault(_plant_values(), FAULTS["loss"], 2), FAULTS["loss"], 3)
    assert _kinds(values)[-1] == "loss"


def test_kind_without_baseline(tmp_path: Path) -> None:
    """Without a baseline nothing is expected of a sensor, so no kind can be told."""
    save_toy_bundle(tmp_path / "bundle")
    values = _with_fault(_plant_values(), lambda values: values + 40.0)
    batch = _scoring(tmp_path / "bundle").judge(_readings(values))
    assert len(batch.events) == 2
    assert {event.kind for event in batch.events} == {None}
    assert batch.kinds == {}


def test_kinds_of_windows() -> None:
    """Faulty windows of an open incident have the kind that could be told then, others have none."""
    batch = _scoring().judge(_readings(_with_fault(_plant_values(), FAULTS["offset"])))
    faulty = np.flatnonzero(batch.judged_windows.faulty).tolist()
    # The first three readings might be a spike.
    assert [batch.kinds.get(row) for row in faulty] == [None] * 3 + ["offset"] * (len(faulty) - 3)
    assert set(batch.kinds) <= set(faulty)


def test_kind_before_the_incident_opens() -> None:
    """With `raise_after` the readings before the first event count, too."""
    events = _events(_with_fault(_plant_values(), FAULTS["offset"]), raise_after=6)
    assert [event.kind for event in events] == ["offset", "offset"]
    scoring = _scoring(raise_after=6)
    values = _with_fault(_plant_values(), FAULTS["offset"])
    batch = scoring.judge(_readings(values[: FAULT_START + 5]))
    assert batch.judged_windows.faulty.any()
    assert (batch.events, batch.kinds, scoring.kind("g")) == ([], {}, None)


def test_every_window() -> None:
    """In mode `every_window` each event has the kind that can be told at its window."""
    kinds = [
        event.kind for event in _events(_with_fault(_plant_values(), FAULTS["offset"]), mode="every_window")
    ]
    assert kinds == [None] * 3 + ["offset"] * (len(kinds) - 3)


def test_next_incident_starts_anew() -> None:
    """The kind of an incident doesn't depend on the incident before it, and no evidence is kept."""
    values = _with_fault(_plant_values(), FAULTS["loss"])
    values = np.concatenate([values, _with_fault(_plant_values(), FAULTS["offset"])[100:]])
    scoring = _scoring(min_interval=60)
    kinds = [event.kind for event in scoring.judge(_readings(values)).events]
    assert kinds == ["loss", "loss", None, "offset"]
    assert scoring.kind("g") is None


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batch_size_makes_no_difference(size: int) -> None:
    """The kinds are the same however a recording is split into batches."""
    values = _with_fault(_plant_values(), FAULTS["gain"])
    whole = _scoring().judge(_readings(values))
    parts = list(_judge_in_parts(_scoring(), values, size))
    assert [event.kind for part in parts for event in part.events] == [event.kind for event in whole.events]
    assert [kind for part in parts for kind in part.kinds.values()] == list(whole.kinds.values())


def test_moved_group_continues() -> None:
    """A group that moves to other stages during an incident keeps what its kind is decided from."""
    values = _with_fault(_plant_values(), FAULTS["offset"])
    whole = _scoring().judge(_readings(values)).events
    cut = FAULT_START + 2
    first, second = _scoring(), _scoring()
    first.judge(_readings(values[:cut]))
    second.load("g", first.dump("g"))
    batch = second.judge(_readings(values[cut : cut + 3], cut))
    assert second.kind("g") == "offset"
    assert len(batch.kinds) == 2
    assert second.judge(_readings(values[cut + 3 :], cut + 3)).events == whole[1:]


def test_state_of_an_older_version() -> None:
    """An incident in state without evidence goes on without a kind, and the next one has a kind."""
    values = _with_fault(_plant_values(), FAULTS["offset"])
    scoring = _scoring()
    scoring.judge(_readings(values[: FAULT_START + 2]))
    states = scoring.dump("g")
    version, state = msgspec.msgpack.decode(states.alerts)
    without_evidence = state[: AlertState.__struct_fields__.index("evidence")]
    older = msgspec.structs.replace(states, alerts=msgspec.msgpack.encode((version, without_evidence)))
    restarted = _scoring()
    restarted.load("g", older)
    rest = np.concatenate([values[FAULT_START + 2 :], values[100:]])
    kinds = [event.kind for event in restarted.judge(_readings(rest, FAULT_START + 2)).events]
    assert kinds == [None, None, "offset"]
