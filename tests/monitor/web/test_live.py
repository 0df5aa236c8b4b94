import math
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.config.settings import AlertSettings
from monitor.core.verdicts import GroupStatus, State
from monitor.operators.requests import Acknowledge, Silence
from monitor.web import page_data
from monitor.web.live import MAX_REVISION_LAG, LiveGroups
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message
from tests.support.toy_bundle import FAULTY, FEATURES, HEALTHY

OUT_OF_RANGE = [70.0, 50.0, 70.5, 50.0]


class LivePipelineHarness(PipelineHarness):
    """A pipeline that is observed by the live page's data."""

    def __init__(self, folder: Path, max_live_groups: int = 100, **settings: Any) -> None:
        super().__init__(folder, **settings)
        self.live = LiveGroups(
            4,
            5.0,
            self.groups.is_acknowledged,
            self.commands.mutes.is_muted,
            max_groups=max_live_groups,
        )
        self.pipeline._instrumentation._observer = self.live  # noqa: SLF001

    def send(self, name: str, *readings: list[float], start_s: float = 0.0, monotonic_s: float = 0.0) -> None:
        """Run the pipeline on readings of one group, five seconds of event time apart."""
        batch = [message(start_s + 5 * n, values, f"p/{name}") for n, values in enumerate(readings)]
        self.run((monotonic_s, batch))

    def take_updates(self) -> dict[str, dict[str, Any]]:
        """Apply what is pending, and return the page's data of the groups that changed, by group."""
        revision = self.live.revision
        self.live.apply_pending()
        updates = page_data.group_updates(self.live, self.live.changed_since(revision))
        return {update["group"]: update for update in updates}


@pytest.fixture
def harness(toy_bundle: Path) -> LivePipelineHarness:
    """A pipeline whose live page follows a hundred groups."""
    return LivePipelineHarness(toy_bundle)


def test_change_is_reported_once(harness: LivePipelineHarness) -> None:
    """A change is reported once, and not again."""
    harness.send("a", *[HEALTHY] * 3)
    update = harness.take_updates()["a"]
    assert (update["state"], update["far"], update["firing"]) == ("normal", False, False)
    assert update["ts"] == NOW + 10
    assert update["score"] == pytest.approx(0.0, abs=1e-3)
    assert [point[2:] for point in update["points"]] == [HEALTHY] * 3
    assert harness.take_updates() == {}
    harness.send("a", HEALTHY, start_s=15.0)
    assert harness.take_updates()["a"]["point"] == [NOW + 15, pytest.approx(0.0, abs=1e-3), *HEALTHY]


def test_readings_before_a_window(harness: LivePipelineHarness) -> None:
    """Values are reported from the first reading on, without a score."""
    harness.send("a", HEALTHY)
    update = harness.take_updates()["a"]
    assert update["state"] == "filling"
    assert update["score"] is None
    assert update["point"][2:] == HEALTHY


def test_refused_readings_are_not_shown(harness: LivePipelineHarness) -> None:
    """Readings that were dropped as late or future are not shown."""
    harness.send("a", *[HEALTHY] * 3, start_s=20.0)
    harness.send("a", FAULTY, start_s=10.0)
    harness.send("a", FAULTY, start_s=9e6)
    update = harness.take_updates()["a"]
    assert update["ts"] == NOW + 30
    assert update["points"][-1][2:] == HEALTHY


def test_alert_lifecycle(harness: LivePipelineHarness) -> None:
    """An open incident is reported with the window that began it, and later as ended."""
    harness.send("a", HEALTHY, HEALTHY, FAULTY, FAULTY)
    harness.live.apply_pending()
    (firing,) = page_data.alerts(harness.live, FEATURES)["firing"]
    assert (firing["group"], firing["since"]) == ("a", NOW + 10)
    assert "temperature_2" in firing["reason"]
    assert (
        firing["values"]
        == "temperature_1 20 degC, humidity_1 50 %RH, temperature_2 30 degC, humidity_2 50 %RH"
    )
    revision = harness.live.alerts_revision
    harness.live.apply_pending()
    assert harness.live.alerts_revision == revision
    harness.send("a", *[HEALTHY] * 3, start_s=20.0)
    harness.live.apply_pending()
    assert page_data.alerts(harness.live, FEATURES) == {
        "firing": [],
        "ended": [{"group": "a", "since": NOW + 10, "until": NOW + 30}],
        "marks": {},
    }


def test_alert_of_an_earlier_process(harness: LivePipelineHarness) -> None:
    """An incident that is open at the start is reported though an earlier process sent its event."""
    harness.send("a", HEALTHY, HEALTHY, FAULTY)
    live = LiveGroups(4, point_interval_s=5.0)
    live.load_statuses(harness.groups.statuses())
    live.apply_pending()
    (firing,) = page_data.alerts(live, FEATURES)["firing"]
    assert firing == {
        "group": "a",
        "since": NOW + 10,
        "detector": "model",
        "kind": None,
        "score": None,
        "reason": "",
        "values": "",
    }


def test_check_in_an_open_incident(harness: LivePipelineHarness) -> None:
    """An alert of the model is that of a check once a check has found something."""
    harness.send("a", HEALTHY, HEALTHY, FAULTY)
    harness.live.apply_pending()
    (firing,) = page_data.alerts(harness.live, FEATURES)["firing"]
    assert firing["detector"] == "model"
    (status,) = harness.groups.statuses()
    harness.live.load_statuses([replace(status, detector="flat", kind="stuck")])
    harness.live.apply_pending()
    (firing,) = page_data.alerts(harness.live, FEATURES)["firing"]
    assert (firing["detector"], firing["kind"]) == ("flat", "stuck")


def test_kind_of_an_open_incident(harness: LivePipelineHarness) -> None:
    """An alert has the kind of fault that its group's state says now, and is sent again when that changes."""
    harness.send("a", HEALTHY, HEALTHY, FAULTY)
    (status,) = harness.groups.statuses()
    live = LiveGroups(4, point_interval_s=5.0)
    revisions = []
    for kind in (None, "offset", "offset"):
        live.load_statuses([replace(status, kind=kind)])
        live.apply_pending()
        revisions.append(live.alerts_revision)
    (firing,) = page_data.alerts(live, FEATURES)["firing"]
    (update,) = page_data.group_updates(live, ["a"])
    assert (firing["kind"], update["fault"]) == ("offset", "offset")
    assert revisions == [1, 2, 2]


def test_operator_marks(harness: LivePipelineHarness) -> None:
    """An open incident that is acknowledged or muted is marked until it ends."""
    harness.send("a", HEALTHY, HEALTHY, FAULTY)
    harness.send("b", HEALTHY, HEALTHY, HEALTHY)
    harness.take_updates()
    assert page_data.alerts(harness.live, FEATURES)["marks"] == {}
    for request in (Acknowledge(group="a"), Silence(group="*", minutes=1)):
        harness.commands.submit(request, lambda _: None)
    harness.run((1.0, []))
    harness.take_updates()
    assert page_data.alerts(harness.live, FEATURES)["marks"] == {"a": ["acknowledged", "muted"]}
    assert harness.live.alerts_revision == harness.live.revision
    harness.run((62.0, []))
    harness.take_updates()
    assert page_data.alerts(harness.live, FEATURES)["marks"] == {"a": ["acknowledged"]}
    harness.send("a", *[HEALTHY] * 3, start_s=15.0, monotonic_s=63.0)
    harness.take_updates()
    assert page_data.alerts(harness.live, FEATURES)["marks"] == {}


def test_unacknowledged_alerts_come_first(harness: LivePipelineHarness) -> None:
    """Acknowledged and muted alerts come after all others; the newest come first."""
    for group in "abcd":
        harness.send(group, HEALTHY, HEALTHY, FAULTY)
    for request in (Acknowledge(group="d"), Silence(group="b", minutes=1)):
        harness.commands.submit(request, lambda _: None)
    harness.run((1.0, []))
    harness.take_updates()
    assert [alert["group"] for alert in page_data.alerts(harness.live, FEATURES)["firing"]] == [
        "c",
        "a",
        "d",
        "b",
    ]


def test_silence(harness: LivePipelineHarness) -> None:
    """A group that falls silent is reported though no reading arrived."""
    harness.send("a", *[HEALTHY] * 3)
    harness.take_updates()
    harness.run((100.0, []))
    assert harness.take_updates()["a"]["state"] == "silent"


def test_unhealthy_groups_evict_healthy_ones(toy_bundle: Path) -> None:
    """With more groups than `max_groups`, faulty, out-of-range and silent ones replace the others."""
    harness = LivePipelineHarness(toy_bundle, max_live_groups=3)
    for name in "abcd":
        harness.send(name, *[HEALTHY] * 3)
    assert set(harness.take_updates()) == {"a", "b", "c"}
    harness.send("e", HEALTHY, HEALTHY, FAULTY)
    harness.send("f", HEALTHY, HEALTHY, OUT_OF_RANGE)
    assert {"e", "f"} <= set(harness.take_updates())
    assert set(harness.live.removed_groups) == {"a", "b"}
    assert set(harness.live.statuses) == {"c", "e", "f"}
    assert harness.live.statuses["f"].out_of_range
    for name in "ghi":
        harness.send(name, HEALTHY, HEALTHY, FAULTY)
    harness.live.apply_pending()
    assert set(harness.live.statuses) == {"e", "f", "g"}
    assert set(harness.live.alerts) == {"e", "g"}


def test_stale_groups(toy_bundle: Path) -> None:
    """A group with a stale feature is reported with it, and replaces a healthy one."""
    harness = LivePipelineHarness(toy_bundle, max_live_groups=1)
    harness.send("a", *[HEALTHY] * 3)
    assert "stale" not in harness.take_updates()["a"]
    status = GroupStatus(
        "b", State.NORMAL, NOW, 0.0, out_of_range=False, incident=None, stale=((2, NOW + 5),)
    )
    harness.live.load_statuses([status])
    assert harness.take_updates()["b"]["stale"] == ((2, NOW + 5),)
    assert set(harness.live.statuses) == {"b"}


def test_reused_row_has_no_old_history(toy_bundle: Path) -> None:
    """A group that reuses a row has no points of the group before."""
    harness = LivePipelineHarness(toy_bundle, max_live_groups=1)
    harness.send("a", *[HEALTHY] * 3)
    harness.live.apply_pending()
    harness.send("b", HEALTHY, HEALTHY, FAULTY)
    assert [point[2:] for point in harness.take_updates()["b"]["points"]] == [HEALTHY, HEALTHY, FAULTY]


def test_removed_groups_expire(toy_bundle: Path) -> None:
    """Removed groups are kept for `MAX_REVISION_LAG` revisions."""
    harness = LivePipelineHarness(toy_bundle, max_groups=1)
    harness.send("a", *[HEALTHY] * 3)
    harness.live.apply_pending()
    harness.send("b", *[HEALTHY] * 3)
    for _ in range(MAX_REVISION_LAG):
        harness.live.apply_pending()
        assert set(harness.live.removed_groups) == {"a"}
    harness.live.apply_pending()
    assert not harness.live.removed_groups


def test_evicted_groups_are_removed(toy_bundle: Path) -> None:
    """A group that the pipeline evicted is removed from the page, with its alert."""
    harness = LivePipelineHarness(toy_bundle, max_groups=1)
    harness.send("a", HEALTHY, HEALTHY, FAULTY)
    harness.live.apply_pending()
    assert set(harness.live.alerts) == {"a"}
    harness.send("b", *[HEALTHY] * 3)
    assert set(harness.take_updates()) == {"b"}
    assert set(harness.live.removed_groups) == {"a"}
    assert not harness.live.alerts


def test_pending_readings_are_bounded(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest readings are pending, at most the limit, and no state is missed."""
    monkeypatch.setattr("monitor.web.live._MAX_PENDING_READINGS", 50)
    harness = LivePipelineHarness(toy_bundle)
    for number in range(40):
        harness.send(f"g{number}", *[HEALTHY] * 3)
    updates = harness.take_updates()
    assert {name: update["state"] for name, update in updates.items()} == {
        f"g{number}": "normal" for number in range(40)
    }
    with_readings = [name for name, update in updates.items() if not math.isnan(update["ts"])]
    assert sorted(with_readings) == [f"g{number}" for number in range(23, 40)]


def test_pending_events_are_bounded(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest events are pending, at most the limit; alerts without event are reported too."""
    monkeypatch.setattr("monitor.web.live._MAX_PENDING_EVENTS", 2)
    harness = LivePipelineHarness(toy_bundle)
    for name in "abc":
        harness.send(name, HEALTHY, HEALTHY, FAULTY)
    harness.live.apply_pending()
    assert {name: event is not None for name, event in harness.live.alerts.items()} == {
        "a": False,
        "b": True,
        "c": True,
    }


def test_repeated_alert_keeps_its_first_event(toy_bundle: Path) -> None:
    """With an event for every window an alert is reported with the window that began it."""
    harness = LivePipelineHarness(toy_bundle, alerts=AlertSettings(mode="every_window"))
    harness.send("a", HEALTHY, HEALTHY, *[FAULTY] * 3)
    harness.live.apply_pending()
    harness.send("a", FAULTY, start_s=25.0)
    harness.live.apply_pending()
    event = harness.live.alerts["a"]
    assert event is not None
    assert event.window_ts[-1] == NOW + 10


def test_two_threads(harness: LivePipelineHarness) -> None:
    """Updates that are taken while the pipeline runs miss no reading and never go back in time."""
    latest_ts: dict[str, float] = {}
    done = threading.Event()

    def take_updates() -> None:
        for name, update in harness.take_updates().items():
            assert update["ts"] >= latest_ts.get(name, 0.0)
            latest_ts[name] = update["ts"]

    def take_until_done() -> None:
        while not done.is_set():
            take_updates()

    thread = threading.Thread(target=take_until_done)
    thread.start()
    try:
        for number in range(100):
            harness.send(f"g{number % 10}", HEALTHY, start_s=5.0 * (number // 10))
    finally:
        done.set()
        thread.join()
    take_updates()
    assert latest_ts == {f"g{number}": NOW + 45 for number in range(10)}
