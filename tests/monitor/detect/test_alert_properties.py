"""The alert stage beside a model that looks back over a group's whole past at every window."""

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
    """All that happened to a group so far."""

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
        def clears(one: Window) -> bool:
            return one.score <= THRESHOLD if rules.clear_below is None else one.score < rules.clear_below

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
    """Events are those that a look back over the group's whole past gives."""
    stage = AlertStage(rules, [("b/*", override)])
    models: dict[str, _ReferenceModel] = defaultdict(_ReferenceModel)
    expected = []
    for window in stream:
        expected += models[window.group].push(window, override if window.group == "b/1" else rules)
    assert summarize(feed(stage, stream)) == expected
    first_events = [one for one in expected if one.status == "firing" and not one.repeat]
    assert stage.firing_count == len(first_events) - sum(one.status == "resolved" for one in expected)
    assert len({one.id for one in first_events}) == len(first_events)


@QUICK
@given(_window_streams(), RULES, st.booleans(), st.sets(st.integers(0, 60)))
def test_moves_and_batches_make_no_difference(
    stream: list[Window],
    rules: AlertRules,
    every_window: bool,  # noqa: FBT001, a parameter of the test
    cuts: set[int],
) -> None:
    """A stream cut into batches whose groups all move to another instance gives the same events."""
    whole, here, there = (AlertStage(rules, every_window=every_window) for _ in range(3))
    expected = feed(whole, stream)
    events: list[AlertEvent] = []
    for begin, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]):
        events += feed(here, stream[begin:end])
        for group in here.groups():
            there.load(group, here.dump(group))
            here.forget(group)
        assert (here.firing_count, here.groups()) == (0, [])
        here, there = there, here
    assert events == expected


@QUICK
@given(_window_streams(), RULES, RULES)
def test_rules_change_in_mid_stream(stream: list[Window], before: AlertRules, after: AlertRules) -> None:
    """Where rules change in mid-stream, each incident still fires once before it resolves once."""
    half = len(stream) // 2
    here, there = AlertStage(before), AlertStage(after)
    events = feed(here, stream[:half])
    for group in here.groups():
        there.load(group, here.dump(group))
    events += feed(there, stream[half:])
    for group in ("a", "b/1"):
        incident_events = [event for event in events if event.group == group and not event.repeat]
        assert [event.status for event in incident_events] == ["firing", "resolved"] * (
            len(incident_events) // 2
        ) + (["firing"] * (len(incident_events) % 2))
        assert all(
            first.id == second.id
            for first, second in zip(incident_events[::2], incident_events[1::2], strict=False)
        )
    assert there.firing_count == sum(
        not event.repeat and (1, -1)[event.status == "resolved"] for event in events
    )
