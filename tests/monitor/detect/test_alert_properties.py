"""The alert stage beside a model that looks back over a group's whole past at every window."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.rules import Rules
from monitor.core.verdicts import AlertEvent
from monitor.detect.alerts import AlertStage
from tests.monitor.detect.alert_sequences import SCORES, THRESHOLD, Said, Window, say, update

QUICK = settings(derandomize=True, deadline=None, max_examples=300)


@dataclass
class _Past:
    """All that happened to a group so far."""

    windows: list[Window] = field(default_factory=list)
    events: list[Said] = field(default_factory=list)
    acknowledged: bool = False

    def take(self, window: Window, rules: Rules) -> list[Said]:
        self.windows.append(window)
        last = self.events[-1] if self.events else None
        if last is not None and last.status == "firing":
            said = self._while_open(window, rules, last)
        else:
            said = self._while_closed(window, rules, last)
        self.events += said
        self.acknowledged = window.acknowledged or (self.acknowledged and not (said and not said[0].repeat))
        return said

    def _while_open(self, window: Window, rules: Rules, last: Said) -> list[Said]:
        def clears(one: Window) -> bool:
            return one.score <= THRESHOLD if rules.clear_below is None else one.score < rules.clear_below

        run = self.windows[-rules.clear_after :]
        if len(run) == rules.clear_after and all(map(clears, run)):
            return [Said("resolved", last.id, run[0].ts, at=window.ts)]
        due = rules.renotify_after and window.ts >= last.at + rules.renotify_after
        if due and not self.acknowledged and not clears(window):
            return [Said("firing", last.id, None, last.repeat + 1, window.ts)]
        return []

    def _while_closed(self, window: Window, rules: Rules, last: Said | None) -> list[Said]:
        run = 0
        while run < len(self.windows) and self.windows[-1 - run].score > THRESHOLD:
            run += 1
        held = (
            last is not None and last.ended_at is not None and window.ts < last.ended_at + rules.min_interval
        )
        if run < rules.raise_after or held:
            return []
        return [Said("firing", f"{window.group}:{self.windows[-run].ts * 1000:.0f}", at=window.ts)]


COUNTS = st.integers(1, 4)
PAUSES = st.sampled_from([0.0, 2.0, 5.0, 20.0])
RULES = st.builds(
    Rules,
    raise_after=COUNTS,
    clear_after=COUNTS,
    clear_below=st.sampled_from([None, 0.3, THRESHOLD]),
    min_interval=PAUSES,
    renotify_after=PAUSES,
)
STEPS = st.tuples(
    st.sampled_from(["a", "b/1"]),
    st.sampled_from([1.0, 1.0, 4.0]),
    st.sampled_from([*SCORES.values(), 0.9, THRESHOLD]),
    st.sampled_from([False, False, False, True]),
)


@st.composite
def _streams(draw: st.DrawFn) -> list[Window]:
    ts, windows = 0.0, []
    for group, step, score, acknowledged in draw(
        st.lists(STEPS, min_size=draw(st.integers(0, 60)), max_size=60)
    ):
        ts += step
        windows.append(Window(group, ts, score, acknowledged))
    return windows


@QUICK
@given(_streams(), RULES, RULES)
def test_same_as_looking_back(stream: list[Window], rules: Rules, special: Rules) -> None:
    """Events are those that a look back over the group's whole past gives."""
    stage = AlertStage(rules, [("b/*", special)])
    past: dict[str, _Past] = defaultdict(_Past)
    expected = []
    for window in stream:
        expected += past[window.group].take(window, special if window.group == "b/1" else rules)
    assert say(update(stage, stream)) == expected
    begun = [one for one in expected if one.status == "firing" and not one.repeat]
    assert stage.firing == len(begun) - sum(one.status == "resolved" for one in expected)
    assert len({one.id for one in begun}) == len(begun)


@QUICK
@given(_streams(), RULES, st.booleans(), st.sets(st.integers(0, 60)))
def test_moves_and_batches_make_no_difference(
    stream: list[Window],
    rules: Rules,
    every_window: bool,  # noqa: FBT001, a parameter of the test
    cuts: set[int],
) -> None:
    """A stream cut into batches whose groups all move to another instance gives the same events."""
    whole, here, there = (AlertStage(rules, every_window=every_window) for _ in range(3))
    expected = update(whole, stream)
    events: list[AlertEvent] = []
    for begin, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]):
        events += update(here, stream[begin:end])
        for group in here.groups():
            there.load(group, here.dump(group))
            here.forget(group)
        assert (here.firing, here.groups()) == (0, [])
        here, there = there, here
    assert events == expected


@QUICK
@given(_streams(), RULES, RULES)
def test_other_rules_take_over(stream: list[Window], before: Rules, after: Rules) -> None:
    """Where rules change in mid-stream, each incident still fires once before it resolves once."""
    half = len(stream) // 2
    here, there = AlertStage(before), AlertStage(after)
    events = update(here, stream[:half])
    for group in here.groups():
        there.load(group, here.dump(group))
    events += update(there, stream[half:])
    for group in ("a", "b/1"):
        course = [event for event in events if event.group == group and not event.repeat]
        assert [event.status for event in course] == ["firing", "resolved"] * (len(course) // 2) + (
            ["firing"] * (len(course) % 2)
        )
        assert all(first.id == second.id for first, second in zip(course[::2], course[1::2], strict=False))
    assert there.firing == sum(not event.repeat and (1, -1)[event.status == "resolved"] for event in events)
