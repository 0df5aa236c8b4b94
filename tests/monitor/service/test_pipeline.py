import json
import random
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from tests.monitor.service.pipeline_fixture import (
    DAY_S,
    NOW,
    OUT_OF_RANGE,
    PipelineHarness,
    message,
    message_batch,
)
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

QUICK = settings(derandomize=True, deadline=None, max_examples=40)


@pytest.fixture
def harness(toy_bundle: Path) -> PipelineHarness:
    """A pipeline without readings."""
    return PipelineHarness(toy_bundle)


def test_order_of_port_calls(harness: PipelineHarness) -> None:
    """A batch is taken, committed, emitted and acknowledged in this order, before the next batch is taken."""
    messages = [message(0), message(1, topic="elsewhere"), message(2, ["?"] * 4)]
    harness.run((1, messages[:2]), (2, messages[2:]))
    assert harness.calls[:8] == ["take", "commit", "emit", "acknowledge"] * 2
    assert harness.acknowledged_messages == messages
    assert harness.committed_groups[:2] == [["g"], []]


def test_commit_that_fails(harness: PipelineHarness) -> None:
    """If a commit raises an error, nothing is emitted or acknowledged, and the error is raised."""
    harness.commit_raises = True
    with pytest.raises(OSError, match="no space left"):
        harness.run((1, [message(0)]))
    assert harness.calls == ["take"]
    assert harness.acknowledged_messages == []


def test_stop_judges_what_waits(harness: PipelineHarness) -> None:
    """Messages that are queued when the pipeline is stopped are judged before it ends."""
    harness._stop.set()  # noqa: SLF001, as if the stop had come before the first batch
    harness._batches = [  # noqa: SLF001
        (0, message_batch([message(0), message(1)])),
        (0, message_batch([message(2, FAULTY)])),
    ]
    harness.pipeline.run(harness._stop)  # noqa: SLF001
    assert harness.outcomes() == {"filling": 2, "judged": 1}
    assert [event["status"] for event in harness.payloads("alerts/")] == ["firing"]


def test_stop_comes_to_an_end(harness: PipelineHarness) -> None:
    """Under high load stopping takes limited time: the remaining messages are not acknowledged."""
    harness._stop.set()  # noqa: SLF001, as if the stop had come before the first batch
    harness._batches = [(number, message_batch([message(number)])) for number in range(1000)]  # noqa: SLF001
    harness.pipeline.run(harness._stop)  # noqa: SLF001
    assert len(harness.acknowledged_messages) == 2


def test_each_reading_under_one_outcome(harness: PipelineHarness) -> None:
    """Each reading is counted under exactly one outcome."""
    array = json.dumps([{"ts": NOW + 30}, 7]).encode()
    messages = [
        *[message(ts) for ts in (0, 1, 2, 3)],
        message(3),
        message(1),
        message(DAY_S + 5.1),
        message(30),
        message(4, ["20.0", 1, 2, 3]),
        message(4, topic="elsewhere"),
        ("p/g", array, None, False),
    ]
    harness.run((1, messages), overflowed=5)
    assert harness.outcomes() == {
        "filling": 2, "judged": 2, "duplicate": 1, "late": 1, "future": 1, "gap": 1, "malformed": 3,
        "unmatched": 1, "overflow": 5,
    }  # fmt: skip
    assert [reading.outcome for reading in harness.rejected] == [
        "malformed", "unmatched", "malformed", "malformed", "duplicate", "late", "future", "gap",
    ]  # fmt: skip
    assert harness.overflow_count == 5


def test_stride(toy_bundle: Path) -> None:
    """Windows that the stride leaves out are counted as skipped and not as predictions."""
    harness = PipelineHarness(toy_bundle, stride=2)
    harness.run((1, [message(ts) for ts in range(6)]))
    assert harness.outcomes() == {"filling": 2, "judged": 2, "skipped": 2}
    assert harness.metric_value("predictions_total", label="Normal") == 2


def test_gap_defaults_to_three_periods(harness: PipelineHarness) -> None:
    """Without a setting, a gap is more than 3 sample periods of the bundle: 15 s."""
    harness.run((1, [message(ts) for ts in (0, 15, 30.001, 45)]))
    assert harness.outcomes() == {"filling": 3, "gap": 1}


def test_incident(harness: PipelineHarness) -> None:
    """An incident is published once when it begins and once when it ends, and counted as both."""
    values = [HEALTHY, HEALTHY, HEALTHY, FAULTY, FAULTY, HEALTHY, HEALTHY, HEALTHY]
    harness.run((1, [message(ts, row) for ts, row in enumerate(values)]))
    firing, resolved = harness.payloads("alerts/")
    assert {message.retain for message in harness.messages if message.topic == "alerts/g"} == {False}
    assert (firing["status"], firing["id"], firing["ended_at"]) == (
        "firing",
        f"g:{int(NOW + 3) * 1000}",
        None,
    )
    assert (resolved["status"], resolved["id"]) == ("resolved", firing["id"])
    assert firing["window"]["values"] == [HEALTHY, HEALTHY, FAULTY]
    assert firing["score"] > 0.99
    assert [(event.status, event.id) for event in harness.events] == [
        ("firing", firing["id"]),
        ("resolved", firing["id"]),
    ]
    for status in ("firing", "resolved"):
        assert harness.metric_value("alerts_total", status=status) == 1
    assert harness.metric_value("alerts_firing") == 0
    labels = [harness.metric_value("predictions_total", label=label) for label in ("Normal", "Faulty")]
    assert labels == [2, 4]


def test_check(harness: PipelineHarness) -> None:
    """What a check finds is counted under its name, and named in event and state."""
    dead = [-127.0, 50.0, -127.0, 50.0]
    harness.run((1, [message(ts, dead if ts == 3 else HEALTHY) for ts in range(4)]))
    (event,) = harness.payloads("alerts/")
    assert (event["detector"], event["contributions"]) == ("limits", None)
    assert event["reason"] == (
        "temperature_2 reads -127 degC, below -100 degC, the lowest its sensor can have; temperature_1 too"
    )
    assert harness.payloads("state/")[-1]["detector"] == "limits"
    counts = {
        detector: harness.metric_value("faulty_windows_total", detector=detector)
        for detector in ("model", "limits", "flat", "drift")
    }
    assert counts == {"model": 0, "limits": 1, "flat": 0, "drift": 0}
    harness.run((2, [message(ts) for ts in range(4, 8)]))
    assert harness.payloads("alerts/")[-1]["detector"] == "limits"
    assert harness.payloads("state/")[-1]["detector"] is None


def test_states_are_published(harness: PipelineHarness) -> None:
    """A group's state is published retained when it changes, with its incident."""
    harness.run(
        (1, [message(0), message(1)]), (2, [message(2)]), (3, [message(3)]), (4, [message(4, FAULTY)])
    )
    assert {(message.topic, message.retain) for message in harness.messages[:2]} == {("state/g", True)}
    states = harness.payloads("state/")
    assert [(status["state"], status["incident"]) for status in states] == [
        ("filling", None),
        ("normal", None),
        ("faulty", f"g:{int(NOW + 4) * 1000}"),
    ]
    assert (
        harness.metric_value("groups", state="faulty"),
        harness.metric_value("groups", state="normal"),
    ) == (1, 0)


def test_state_that_comes_back(harness: PipelineHarness) -> None:
    """A state that changed and came back within one batch is published, because its `since` changed."""
    batches = [range(-100, -97), (-97, -50, -49, -48)]
    harness.run(*[(now, [message(ts) for ts in batch]) for now, batch in enumerate(batches, 1)])
    states = [(status["state"], status["since"][11:19]) for status in harness.payloads("state/")]
    assert states == [("normal", "22:11:42"), ("normal", "22:12:32")]


def test_silent_group_takes_any_time(harness: PipelineHarness) -> None:
    """After a silence a group may send an earlier event time, but no event time in the future."""
    harness.run(
        (1, [message(-10)]), (60.9, [message(-20)]), (61, []), (61, [message(-20), message(DAY_S + 5.1)])
    )
    assert harness.outcomes() == {"filling": 2, "late": 1, "future": 1}
    assert [status["state"] for status in harness.payloads("state/")] == ["filling", "silent", "filling"]
    assert harness.silent == ["g"]


def test_silence_starts_the_window_afresh(harness: PipelineHarness) -> None:
    """No window spans a silence, even where the event times leave no gap."""
    harness.run((1, [message(0), message(1)]), (100, [message(2)]))
    assert harness.outcomes() == {"filling": 3}


def test_silence_is_committed(harness: PipelineHarness) -> None:
    """A group that became silent is committed, because its window was dropped."""
    harness.run((1, [message(0)]), (100, []))
    assert harness.committed_groups[:2] == [["g"], ["g"]]


def test_silence_resolves_nothing(harness: PipelineHarness) -> None:
    """A silent group's incident stays open and is shown in its state; no event is published."""
    harness.run((1, [message(ts, FAULTY) for ts in (0, 1, 2)]), (61, []), (62, []))
    assert [event["status"] for event in harness.payloads("alerts/")] == ["firing"]
    last = harness.payloads("state/")[-1]
    assert (last["state"], last["incident"]) == ("silent", f"g:{int(NOW + 2) * 1000}")
    assert (harness.metric_value("alerts_firing"), harness.metric_value("groups", state="silent")) == (1, 1)


def test_silence_is_measured_by_the_monotonic_clock(harness: PipelineHarness) -> None:
    """A group that sends isn't silent, however old its event times are."""
    harness.run((1, [message(-5000)]), (30, [message(-4990)]), (89, [message(-4980)]))
    assert harness.outcomes() == {"filling": 2, "judged": 1}
    assert harness.metric_value("groups", state="silent") == 0


def test_out_of_range_goes_beside_the_prediction(harness: PipelineHarness) -> None:
    """A value far outside training sets the flag; the window still has its prediction."""
    harness.run((1, [message(0), message(1), message(2, OUT_OF_RANGE)]))
    assert (
        harness.metric_value("predictions_total", label="Normal"),
        harness.metric_value("out_of_range_total"),
    ) == (1, 1)
    last = harness.payloads("state/")[-1]
    assert (last["state"], last["out_of_range"]) == ("normal", True)


def test_state_says_what_would_show() -> None:
    """A state has the smallest offsets that would show, and is published again when they change much."""
    harness = PipelineHarness(DEFAULT_BUNDLE_FOLDER)
    rng, numbers = random.Random(4), count(-4000)  # noqa: S311, noise and no secrets

    def run(noise: float) -> list[float]:
        """Send twenty readings every ten seconds for five minutes; return the published offsets."""
        for _ in range(30):
            batch = [
                message(next(numbers), [value + rng.gauss(0, noise) for value in HEALTHY]) for _ in range(20)
            ]
            harness.run((harness.clock + 10, batch))
        states = harness.payloads("state/")
        harness.messages.clear()
        assert {state["state"] for state in states} <= {"filling", "warming", "normal"}
        assert len(states) <= 2 + 5
        return [state["shows_from"] and state["shows_from"]["temperature_1"] for state in states]

    assert run(0.01) == [pytest.approx(0.43, rel=0.05)]
    offsets = [offset for noise in (0.1, 0.15, 0.2) for offset in run(noise)]
    assert offsets
    assert all(later > 1.15 * earlier for earlier, later in pairwise([0.43, *offsets]))
    now = harness.metric_value("shows_from", feature="temperature_1", quantile="0.5")
    assert now is None
    harness.metrics.watch_shows_from(NAMES, harness.groups.shows_from_by_row)
    now = harness.metric_value("shows_from", feature="temperature_1", quantile="0.5")
    assert offsets[-1] == pytest.approx(now, rel=0.25)


def test_latency_metrics(harness: PipelineHarness) -> None:
    """The latency from arrival to decision of each judged reading is observed, and the newest arrival."""
    harness.run((0.25, [message(ts) for ts in range(4)]))
    assert harness.metric_value("reading_latency_seconds_count") == 2
    assert harness.metric_value("reading_latency_seconds_sum") == pytest.approx(0.5)
    assert (harness.metric_value("batch_windows_count"), harness.metric_value("batch_windows_sum")) == (1, 2)
    assert harness.metric_value("last_reading_timestamp_seconds") == NOW + DAY_S
    assert harness.pipeline.last_iteration_at == 0.25


ROWS = st.tuples(
    st.sampled_from("ab"), st.sampled_from([0, 1, 1, 1, 2, 20]), st.sampled_from([HEALTHY, FAULTY])
)


@QUICK
@given(stream=st.lists(ROWS, max_size=40), cuts=st.sets(st.integers(0, 40)))
def test_batches_make_no_difference(
    stream: list[tuple[str, int, list[float]]], cuts: set[int], toy_bundle: Path
) -> None:
    """A stream gives the same outcomes and alert events for any division into batches."""
    clock, messages = 0, []
    for group, jump, values in stream:
        clock += jump
        messages.append(message(clock - 1000, values, f"p/{group}"))
    bounds = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    whole, parts = PipelineHarness(toy_bundle), PipelineHarness(toy_bundle)
    whole.run((1, messages))
    parts.run(*[(1, messages[begin:end]) for begin, end in pairwise(bounds)])
    assert parts.outcomes() == whole.outcomes()
    assert parts.payloads("alerts/") == whole.payloads("alerts/")
    assert parts.acknowledged_messages == whole.acknowledged_messages


def test_two_devices_on_one_topic(harness: PipelineHarness) -> None:
    """A group whose readings come from two devices, one after the other, is logged once."""
    other = [value + 2 for value in HEALTHY]
    batches = [(float(n), [message(n, other if n % 2 else HEALTHY)]) for n in range(60)]
    harness.run(*batches)
    assert harness.mixed_senders == ["g"]
