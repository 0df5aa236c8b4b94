import pytest

from monitor.config.settings import AlertOverride, AlertSettings
from monitor.core.errors import ConfigurationError
from monitor.core.rules import AlertRules
from monitor.detect.alerts import AlertStage
from monitor.service.settings_to_stages import build_alert_stage
from tests.monitor.detect.alert_sequences import SCORES, THRESHOLD, Window, feed, judged_windows, summarize


def _run(verdicts: str, rules: AlertRules, *, every_window: bool = False) -> list[str]:
    """Feed one group at seconds 0, 1, 2...; return each event as text.

    The text is the status' first letter and the event time, and `+` with the repeat if that is not 0.
    """
    windows = [Window("g", ts, SCORES[verdict]) for ts, verdict in enumerate(verdicts)]
    events = summarize(feed(AlertStage(rules, every_window=every_window), windows))
    return [
        f"{event.status[0]}{event.ts:g}" + (f"+{event.repeat}" if event.repeat else "") for event in events
    ]


@pytest.mark.parametrize(
    ("verdicts", "rules", "events"),
    [
        ("FmmmNN", AlertRules(clear_after=2, clear_below=0.3), ["f0", "r5"]),
        ("FNmNN", AlertRules(clear_after=2, clear_below=0.3), ["f0", "r4"]),
        ("FmFNN", AlertRules(clear_after=2, clear_below=0.3), ["f0", "r4"]),
        ("FFmFFF", AlertRules(raise_after=3, clear_below=0.3), ["f5"]),
        ("FNNNFFFF", AlertRules(clear_after=1, min_interval=5), ["f0", "r1", "f6"]),
        ("FNNNFFFF", AlertRules(clear_after=3, min_interval=5), ["f0", "r3", "f6"]),
        ("FNNNFFNN", AlertRules(clear_after=1, min_interval=5), ["f0", "r1"]),
        ("FNNFNNNNNF", AlertRules(clear_after=1, min_interval=5), ["f0", "r1", "f9"]),
        ("FNFNFNFNF", AlertRules(clear_after=1, min_interval=3), ["f0", "r1", "f4", "r5", "f8"]),
        ("FFFFFFF", AlertRules(renotify_after=3), ["f0", "f3+1", "f6+2"]),
        ("FFNNFFNNN", AlertRules(renotify_after=2), ["f0", "f4+1", "r8"]),
        (
            "FmmmmmmN",
            AlertRules(clear_after=1, clear_below=0.3, renotify_after=3),
            ["f0", "f3+1", "f6+2", "r7"],
        ),
        ("FFFNFFF", AlertRules(clear_after=1, renotify_after=2), ["f0", "f2+1", "r3", "f4", "f6+1"]),
    ],
)
def test_rules(verdicts: str, rules: AlertRules, events: list[str]) -> None:
    """Incidents begin, end and are repeated as the rules require."""
    assert _run(verdicts, rules) == events


def test_delayed_incident_keeps_its_start() -> None:
    """An incident that `min_interval` delays is dated from its first Faulty window."""
    stage = AlertStage(AlertRules(clear_after=1, min_interval=5))
    windows = [Window("g", ts, SCORES[verdict]) for ts, verdict in enumerate("FNNFFFFFF")]
    assert [(event.id, event.ts) for event in summarize(feed(stage, windows))] == [
        ("g:0", 0),
        ("g:0", 1),
        ("g:3000", 6),
    ]


def test_every_window_ignores_rules() -> None:
    """With `every_window` each Faulty window is an event whatever the rules; `repeat` counts per incident."""
    rules = AlertRules(3, 3, clear_below=0.2, min_interval=100, renotify_after=100)
    assert _run("FFNFmF", rules, every_window=True) == ["f0", "f1+1", "f3", "f5"]


def test_clock_that_was_set_back() -> None:
    """After a clock was set back, `min_interval` and `renotify_after` do not wait for the old time."""
    rules = AlertRules(clear_after=1, min_interval=60, renotify_after=60)
    readings = [(1000, "F"), (1001, "N"), (10, "F"), (11, "F"), (71, "F"), (20, "F"), (21, "F")]
    windows = [Window("g", ts, SCORES[verdict]) for ts, verdict in readings]
    events = summarize(feed(AlertStage(rules), windows))
    assert [(event.status, event.ts, event.repeat) for event in events] == [
        ("firing", 1000, 0),
        ("resolved", 1001, 0),
        ("firing", 10, 0),
        ("firing", 71, 1),
        ("firing", 20, 2),
    ]


def test_acknowledged_incident() -> None:
    """Acknowledging returns the incident's id and stops its reminders, but not the next incident's."""
    stage = AlertStage(AlertRules(clear_after=1, min_interval=1, renotify_after=1))
    assert stage.acknowledge("g") is None
    stage.update(judged_windows([Window("g", 0, 0.9)]))
    assert stage.acknowledge("g") == "g:0"
    assert stage.update(judged_windows([Window("g", 5, 0.9)])) == []
    events = summarize(
        stage.update(judged_windows([Window("g", ts, score) for ts, score in [(6, 0.1), (7, 0.9), (8, 0.9)]]))
    )
    assert [(event.status, event.ts, event.repeat) for event in events] == [
        ("resolved", 6, 0),
        ("firing", 7, 0),
        ("firing", 8, 1),
    ]


@pytest.mark.parametrize(("min_interval", "next_incident"), [(0, ("g:2000", 3)), (4, ("g:2000", 5))])
def test_end_incident(min_interval: float, next_incident: tuple[str, int]) -> None:
    """After an incident was ended, Faulty windows count from 0 and `min_interval` begins at its end."""
    stage = AlertStage(AlertRules(raise_after=2, min_interval=min_interval))
    stage.end_incident("g", 0)
    stage.update(judged_windows([Window("g", 0, 0.9), Window("g", 1, 0.9)]))
    stage.end_incident("g", 1)
    assert (stage.incident_id("g"), stage.firing_count) == (None, 0)
    events = summarize(stage.update(judged_windows([Window("g", ts, 0.9) for ts in range(2, 9)])))
    assert [(event.id, event.ts) for event in events] == [next_incident]


def test_state_is_removed_after_min_interval() -> None:
    """A group without an incident keeps state until `min_interval` is over, and no longer."""
    stage = AlertStage(AlertRules(clear_after=2, min_interval=3))
    feed(stage, [Window("g", ts, score) for ts, score in [(0, 0.9), (1, 0.1), (2, 0.1)]])
    assert (stage.firing_count, stage.groups()) == (0, ["g"])
    feed(stage, [Window("g", 4, 0.1)])
    assert stage.groups() == []
    feed(stage, [Window("g", ts, score) for ts, score in [(10, 0.9), (11, 0.1), (20, 0.1)]])
    assert stage.groups() == []


def test_first_matching_pattern_decides() -> None:
    """The first rules whose pattern matches a group apply; omitted settings come from the general rules."""
    rules = (
        AlertOverride(groups="line1/press*", clear_after=2),
        AlertOverride(groups="line1/*", raise_after=3),
        AlertOverride(groups="*", raise_after=2, clear_after=1),
    )
    stage = build_alert_stage(AlertSettings(raise_after=1, clear_after=4, rules=rules), THRESHOLD)
    for group, raise_after, clear_after in [
        ("line1/press/7", 1, 2),
        ("line1/oven", 3, 4),
        ("line1", 2, 1),
        ("LINE1/oven", 2, 1),
    ]:
        windows = [Window(group, ts, 0.9 if ts < 4 else 0.1) for ts in range(10)]
        events = [(event.status, event.ts) for event in summarize(feed(stage, windows))]
        assert events == [("firing", raise_after - 1), ("resolved", 3 + clear_after)], group


def test_clear_below_above_the_threshold() -> None:
    """A `clear_below` above the bundle's threshold is rejected with the name of the setting."""
    build_alert_stage(AlertSettings(clear_below=0.5), THRESHOLD)
    with pytest.raises(ConfigurationError, match=r"^alerts.clear_below is 0.6, above the bundle's threshold"):
        build_alert_stage(AlertSettings(clear_below=0.6), THRESHOLD)
    rules = (AlertOverride(groups="a"), AlertOverride(groups="b", clear_below=0.6))
    with pytest.raises(ConfigurationError, match=r"^alerts.rules.1.clear_below is 0.6"):
        build_alert_stage(AlertSettings(rules=rules), THRESHOLD)


def test_state_of_an_earlier_version() -> None:
    """An open incident dumped by a monitor without reminders continues, and gets reminders from then on."""
    stage = AlertStage(AlertRules(clear_after=1, renotify_after=2))
    stage.load("g", b"\x92\x01\x94\x05\x00\xcb" + b"\0" * 8 + b"\xcb" + b"\0" * 8)  # [1, [5, 0, 0.0, 0.0]]
    assert (stage.firing_count, stage.incident_id("g")) == (1, "g:0")
    windows = [Window("g", ts, 0.9) for ts in (10.0, 11.0, 12.0)] + [Window("g", 13.0, 0.1)]
    assert [(event.status, event.ts) for event in summarize(feed(stage, windows))] == [
        ("firing", 12.0),
        ("resolved", 13.0),
    ]
