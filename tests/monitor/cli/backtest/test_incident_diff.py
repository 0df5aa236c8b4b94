import math

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.cli.backtest.incident_diff import Change, IncidentHistory, IncidentSpan, compare
from monitor.core.rules import AlertRules
from monitor.detect.alerts import AlertStage
from tests.monitor.detect.alert_sequences import SCORES, Window, feed

FAST_SETTINGS = settings(derandomize=True, deadline=None, max_examples=200)


def _build_history(verdicts: str, rules: AlertRules, *, every_window: bool = False) -> IncidentHistory:
    """Return the history of group `g` with these verdicts at seconds 0, 1, 2..."""
    history = IncidentHistory(every_window=every_window)
    windows = [Window("g", at, SCORES[verdict]) for at, verdict in enumerate(verdicts)]
    history.add(feed(AlertStage(rules, every_window=every_window), windows))
    return history


def test_incidents_of_a_lifecycle() -> None:
    """An incident lasts from its first Faulty window to its end; repeated events count as firing events."""
    history = _build_history("FFFFNNFF", AlertRules(raise_after=2, clear_after=2, renotify_after=2))
    assert history.by_group == {
        "g": [IncidentSpan(0, 4, published_at=1), IncidentSpan(6, math.inf, published_at=7)]
    }
    assert history.firing_counts["g"] == 3


def test_incidents_of_every_window() -> None:
    """In mode every_window, which has no resolved events, an incident lasts until its last Faulty window."""
    history = _build_history("FFNNF", AlertRules(), every_window=True)
    first, second = history.by_group["g"]
    assert (first.started_at, second.started_at) == (0, 4)
    assert 1 < first.ended_at < 1.001
    assert history.firing_counts["g"] == 3


def test_compare() -> None:
    """Incidents that overlap are one change, with the delay of the first incident."""
    a, b, c = IncidentSpan(0, 10, 0), IncidentSpan(20, 30, 20), IncidentSpan(40, 50, 40)
    long, late, still_open = IncidentSpan(5, 25, 7), IncidentSpan(45, 47, 46), IncidentSpan(60, math.inf, 60)
    changes = compare([a, b, c], [long, late, still_open])
    assert changes == [Change((a, b), (long,)), Change((c,), (late,)), Change((), (still_open,))]
    assert [change.delay for change in changes] == [7, 6, None]
    assert [change.started_at for change in changes] == [0, 40, 60]
    assert compare([IncidentSpan(0, 10, 0)], [IncidentSpan(10, 20, 10)])[0].after == ()


BOUNDARIES = st.lists(st.integers(0, 50), unique=True, max_size=20).map(sorted)


def _to_spans(boundaries: list[int]) -> list[IncidentSpan]:
    return [
        IncidentSpan(begin, end, begin) for begin, end in zip(boundaries[::2], boundaries[1::2], strict=False)
    ]


@FAST_SETTINGS
@given(BOUNDARIES, BOUNDARIES)
def test_nothing_is_lost(before: list[int], after: list[int]) -> None:
    """Each incident is in exactly one change, together with all incidents that it overlaps."""
    old, new = _to_spans(before), _to_spans(after)
    changes = compare(old, new)
    assert [span for change in changes for span in change.before] == old
    assert [span for change in changes for span in change.after] == new
    for first in old:
        for second in new:
            overlap = first.started_at < second.ended_at and second.started_at < first.ended_at
            together = any(first in change.before and second in change.after for change in changes)
            assert together or not overlap
    for (
        change
    ) in changes:  # and with no others: several incidents are one change only if they overlap another
        many, few = sorted([change.before, change.after], key=len, reverse=True)
        assert len(many) <= 1 or few
