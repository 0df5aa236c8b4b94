"""The pipeline with batches whose source says that the wall clock was set; all clocks are the test's."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from monitor.config.settings import AlertSettings
from monitor.core.messages import InboundMessage, MessageBatch
from monitor.core.readings import Arrivals
from monitor.core.times import format_iso
from monitor.operators.requests import parse_request
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

YEAR_S = 365 * 86400.0
STEPS = pytest.mark.parametrize("step", [YEAR_S, -YEAR_S, 6.0, -6.0])


class Plant:
    """Feeds readings that are a second apart by the monotonic clock, and sets the wall clock."""

    def __init__(self, harness: PipelineHarness, wall: float = NOW) -> None:
        self.harness = harness
        self.wall = wall
        self._unreported_step = 0.0

    def set_clock(self, step: float) -> None:
        """Set the wall clock forward or back; the next batch has the step."""
        self.wall += step
        self.harness.wall_offset += step
        self._unreported_step += step

    def wait(self, seconds: float) -> None:
        """Let time pass, and run an empty batch."""
        self._run(seconds, [])

    def send(self, *rows: Sequence[float], ts: float | None = None) -> list[str]:
        """Send readings one by one, from `ts` after NOW on or all without; return their outcomes."""
        outcomes = []
        for number, values in enumerate(rows):
            payload = json.dumps(dict(zip(NAMES, values, strict=True))).encode()
            sent = ("p/g", payload, object(), 0) if ts is None else message(ts + number, values)
            before = self.harness.outcomes()
            self._run(1.0, [sent])
            after = self.harness.outcomes()
            outcomes += [name for name in after if after[name] != before.get(name)]
        return outcomes

    def alerts(self) -> list[tuple[str, int]]:
        """Return status and time of each alert event, in whole seconds from the wall clock of now."""
        return [
            (event["status"], round(_seconds(event["ended_at"] or event["started_at"]) - self.wall))
            for event in self.harness.payloads("alerts/")
        ]

    def _run(self, seconds: float, messages: list[InboundMessage]) -> None:
        self.wall += seconds
        step, self._unreported_step = self._unreported_step, 0.0
        arrived_at = np.full(len(messages), self.wall)
        arrivals = Arrivals(arrived_at, arrived_at, np.zeros(len(messages)))
        self.harness.run((self.harness.clock + seconds, MessageBatch(messages, arrivals, 0, 0.0, step)))


def _seconds(text: str) -> float:
    return np.datetime64(text.removesuffix("Z"), "ms").astype(float) / 1000


@STEPS
def test_group_without_ts_starts_afresh(toy_bundle: Path, step: float) -> None:
    """Its window is filled again, and its incident is resolved at a time by the clock as it was set."""
    plant = Plant(PipelineHarness(toy_bundle))
    assert plant.send(HEALTHY, HEALTHY, HEALTHY, FAULTY) == ["filling", "filling", "judged", "judged"]
    plant.set_clock(step)
    assert plant.send(*[HEALTHY] * 4) == ["filling", "filling", "judged", "judged"]
    assert plant.alerts()[-1] == ("resolved", -1)
    assert plant.harness.clock_steps == [(step, 1)]


@STEPS
def test_min_interval(toy_bundle: Path, step: float) -> None:
    """The time between two incidents is counted as if the clock had not been set."""
    plant = Plant(PipelineHarness(toy_bundle, alerts=AlertSettings(clear_after=1, min_interval=60)))
    plant.send(HEALTHY, HEALTHY, FAULTY, HEALTHY, HEALTHY, HEALTHY)
    assert [status for status, _ in plant.alerts()] == ["firing", "resolved"]
    plant.set_clock(step)
    plant.send(HEALTHY, HEALTHY, FAULTY, HEALTHY, HEALTHY, HEALTHY)
    assert len(plant.alerts()) == 2, "the second incident is too early"
    plant.send(*[HEALTHY] * 52, FAULTY)
    assert len(plant.alerts()) == 2, "59 s after the end of the first"
    plant.send(FAULTY)
    assert plant.alerts()[2:] == [("firing", -1)]


@STEPS
def test_reminders(toy_bundle: Path, step: float) -> None:
    """An incident that goes on is published again when the time has passed, not earlier or later."""
    plant = Plant(PipelineHarness(toy_bundle, alerts=AlertSettings(renotify_after=20)))
    plant.send(HEALTHY, HEALTHY, FAULTY)
    plant.set_clock(step)
    plant.send(*[FAULTY] * 19)
    assert len(plant.alerts()) == 1
    plant.send(FAULTY)
    assert [event["repeat"] for event in plant.harness.payloads("alerts/")] == [0, 1]


@STEPS
def test_group_with_ts(toy_bundle: Path, step: float) -> None:
    """Nothing changes for a group that sends its own times."""
    whole, stepped = (Plant(PipelineHarness(toy_bundle, max_skew=1e9)) for _ in range(2))
    for plant in (whole, stepped):
        plant.send(HEALTHY, HEALTHY, HEALTHY, FAULTY, ts=0)
        plant.set_clock(step if plant is stepped else 0.0)
        outcomes = plant.send(FAULTY, HEALTHY, HEALTHY, HEALTHY, HEALTHY, ts=4)
        assert outcomes == ["judged"] * 5
    assert whole.harness.payloads("") == stepped.harness.payloads("")


@STEPS
def test_silent_group(toy_bundle: Path, step: float) -> None:
    """No group falls silent because of the clock, and the state of a silent one is dated by the new clock."""
    plant = Plant(PipelineHarness(toy_bundle))
    plant.send(*[HEALTHY] * 3)
    plant.set_clock(step)
    plant.wait(1.0)
    assert plant.harness.payloads("state/g")[-1]["state"] == "normal"
    plant.wait(60.0)
    assert plant.harness.payloads("state/g")[-1]["state"] == "silent"
    plant.harness.committed_groups.clear()
    plant.set_clock(-step)
    plant.wait(1.0)
    assert _seconds(plant.harness.payloads("state/g")[-1]["since"]) == plant.wall - 62.0
    assert ["g"] in plant.harness.committed_groups
    assert plant.send(HEALTHY) == ["filling"]


@STEPS
def test_restart(toy_bundle: Path, step: float) -> None:
    """A process that starts with another clock than the one before takes readings without `ts` at once."""
    first = Plant(PipelineHarness(toy_bundle, alerts=AlertSettings(clear_after=1, min_interval=60)))
    first.send(HEALTHY, HEALTHY, FAULTY, HEALTHY, HEALTHY, HEALTHY)
    value = first.harness.groups.dump("g") or b""
    harness = PipelineHarness(
        toy_bundle, stored={"g": value}, alerts=AlertSettings(clear_after=1, min_interval=60)
    )
    second = Plant(harness, first.wall + step)
    assert not {"late", "duplicate"} & set(second.send(HEALTHY, HEALTHY, HEALTHY))
    second.send(*[HEALTHY] * 60, FAULTY)
    assert second.alerts() == [("firing", 0)], "min_interval lasts no longer than it is"


def test_own_time_ahead(toy_bundle: Path) -> None:
    """Where a group mixes both kinds, a reading without `ts` isn't late after one whose `ts` is ahead."""
    plant = Plant(PipelineHarness(toy_bundle, max_skew=60.0))
    assert plant.send(HEALTHY, ts=50) + plant.send(HEALTHY) == ["filling", "filling"]


def test_large_batch(toy_bundle: Path) -> None:
    """Groups of both kinds in one large batch: those without `ts` start afresh, the others go on."""
    plant = Plant(PipelineHarness(toy_bundle, max_skew=1e9))
    payload = json.dumps(dict(zip(NAMES, HEALTHY, strict=True))).encode()
    for number, step in enumerate([0.0, 0.0, 0.0, -YEAR_S]):
        plant.set_clock(step)
        without = [(f"p/without{index}", payload, object(), 0) for index in range(20)]
        plant._run(1.0, without + [message(number, topic=f"p/with{index}") for index in range(20)])  # noqa: SLF001
    assert plant.harness.outcomes() == {"filling": 40 + 40 + 20, "judged": 40 + 20}


@STEPS
def test_mute(toy_bundle: Path, step: float) -> None:
    """A mute lasts as long as was asked for, and what is published of it is by the new clock."""
    plant = Plant(PipelineHarness(toy_bundle))
    plant.send(HEALTHY, HEALTHY)
    request = parse_request("silence", b'{"group":"g","minutes":1}', retained=False)
    plant.harness.commands.submit(request, lambda _: None)
    plant.wait(0.0)
    plant.set_clock(step)
    plant.send(HEALTHY, HEALTHY, FAULTY)
    published = plant.harness.payloads("muted")[-1]
    assert published == {"muted": [{"group": "g", "until": format_iso(plant.wall + 57.0)}]}
    plant.wait(56.9)
    assert plant.alerts() == []
    plant.wait(0.1)
    assert [status for status, _ in plant.alerts()] == ["firing"]
