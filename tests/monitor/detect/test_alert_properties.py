"""The alert stage compared with a reference model that evaluates a group's whole past at every window."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.rules import AlertRules
from monitor.core.verdicts import AlertEvent
from monitor.detect.alerts import AlertStage
from tests.monitor.detect.alert_sequences import SCORES, THRESHOLD, EventSummary, Window, feed, summarize

QUICK = settings(derandomize=True, deadline=None, max_examples=300)


@dataclass
class _ReferenceModel:
    """All windows and events of a group so far."""

    windows: list[Window] = field(default_factory=list)
    events: list[EventSummary] = field(default_factory=list)
    acknowledged: bool = False

    def push(self, window: Window, rules: AlertRules) -> list[EventSummary]:
        self.windows.append(window)
        last = self.events[-1] if self.events else None
        if last is not None and last.status == "firing":
            events = self._events_while_open(window, rules, last)
        else:
            events = self._events_while_closed(window, rules, last)
        self.events += events
        self.acknowledged = window.acknowledged or (
            self.acknowledged and not (events and not events[0].repeat)
        )
        return events

    def _events_while_open(self, window: Window, rules: AlertRules, last: EventSummary) -> list[EventSummary]:
        def clears(past_window: Window) -> bool:
            score = past_window.score
            return score <= THRESHOLD if rules.clear_below is None else score < rules.clear_below

        run = self.windows[-rules.clear_after :]
        if len(run) == rules.clear_after and all(map(clears, run)):
            return [EventSummary("resolved", last.id, run[0].ts, ts=window.ts)]
        is_due = rules.renotify_after and window.ts >= last.ts + rules.renotify_after
        if is_due and not self.acknowledged and not clears(window):
            return [EventSummary("firing", last.id, None, last.repeat + 1, window.ts)]
        return []

    def _events_while_closed(
        self, window: Window, rules: AlertRules, last: EventSummary | None
    ) -> list[EventSummary]:
        run = 0
        while run < len(self.windows) and self.windows[-1 - run].score > THRESHOLD:
            run += 1
        is_held_off = (
            last is not None and last.ended_at is not None and window.ts < last.ended_at + rules.min_interval
        )
        if run < rules.raise_after or is_held_off:
            return []
        return [EventSummary("firing", f"{window.group}:{self.windows[-run].ts * 1000:.0f}", ts=window.ts)]


COUNTS = st.integers(1, 4)
INTERVALS = st.sampled_from([0.0, 2.0, 5.0, 20.0])
RULES = st.builds(
    AlertRules,
    raise_after=COUNTS,
    clear_after=COUNTS,
    clear_below=st.sampled_from([None, 0.3, THRESHOLD]),
    min_interval=INTERVALS,
    renotify_after=INTERVALS,
)
STEPS = st.tuples(
    st.sampled_from(["a", "b/1"]),
    st.sampled_from([1.0, 1.0, 4.0]),
    st.sampled_from([*SCORES.values(), 0.9, THRESHOLD]),
    st.sampled_from([False, False, False, True]),
)


@st.composite
def _window_streams(draw: st.DrawFn) -> list[Window]:
    ts, windows = 0.0, []
    for group, step, score, acknowledged in draw(
        st.lists(STEPS, min_size=draw(st.integers(0, 60)), max_size=60)
    ):
        ts += step
        windows.append(Window(group, ts, score, acknowledged))
    return windows


@QUICK
@given(_window_streams(), RULES, RULES)
def test_events_equal_reference_model(stream: list[Window], rules: AlertRules, override: AlertRules) -> None:
    """The events equal the reference model's."""
    stage = AlertStage(rules, [("b/*", override)])
    models: dict[str, _ReferenceModel] = defaultdict(_ReferenceModel)
    expected = []
    for window in stream:
        expected += models[window.group].push(window, override if window.group == "b/1" else rules)
    assert summarize(feed(stage, stream)) == expected
    first_events = [event for event in expected if event.status == "firing" and not event.repeat]
    assert stage.firing_count == len(first_events) - sum(event.status == "resolved" for event in expected)
    assert len({event.id for event in first_events}) == len(first_events)


@QUICK
@given(_window_streams(), RULES, st.booleans(), st.sets(st.integers(0, 60)))
def test_moves_and_batches_make_no_difference(
    stream: list[Window],
    rules: AlertRules,
    every_window: bool,  # noqa: FBT001, a parameter of the test
    cuts: set[int],
) -> None:
    """Splitting a stream into batches, and moving all groups between two stages, gives the same events."""
    reference, source, target = (AlertStage(rules, every_window=every_window) for _ in range(3))
    expected = feed(reference, stream)
    events: list[AlertEvent] = []
    for begin, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]):
        events += feed(source, stream[begin:end])
        for group in source.groups():
            target.load(group, source.dump(group))
            source.forget(group)
        assert (source.firing_count, source.groups()) == (0, [])
        source, target = target, source
    assert events == expected


@QUICK
@given(_window_streams(), RULES, RULES)
def test_rules_change_in_mid_stream(stream: list[Window], before: AlertRules, after: AlertRules) -> None:
    """After a change of rules in mid-stream each incident still fires once before it resolves once."""
    half = len(stream) // 2
    stage_before, stage_after = AlertStage(before), AlertStage(after)
    events = feed(stage_before, stream[:half])
    for group in stage_before.groups():
        stage_after.load(group, stage_before.dump(group))
    events += feed(stage_after, stream[half:])
    for group in ("a", "b/1"):
        group_events = [event for event in events if event.group == group and not event.repeat]
        firing, resolved = group_events[::2], group_events[1::2]
        assert {event.status for event in firing} <= {"firing"}
        assert {event.status for event in resolved} <= {"resolved"}
        assert all(first.id == second.id for first, second in zip(firing, resolved, strict=False))
    assert stage_after.firing_count == sum(
        not event.repeat and (1, -1)[event.status == "resolved"] for event in events
    )
