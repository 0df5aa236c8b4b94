import math
import threading
from pathlib import Path
from typing import Any

import pytest

from monitor.config.settings import Alerts
from monitor.operators.requests import Acknowledge, Silence
from monitor.web import page_data
from monitor.web.live import REMEMBERED, Live
from tests.monitor.service.pipeline_fixture import NOW, World, message
from tests.support.toy_bundle import FAULTY, FEATURES, HEALTHY

FAR = [20.0, 50.0, 20.5, 300.0]


class Watched(World):
    """A pipeline that somebody looks at."""

    def __init__(self, folder: Path, most: int = 100, **settings: Any) -> None:
        super().__init__(folder, **settings)
        self.live = Live(4, 5.0, self.memory.incidents.acknowledged, self.desk.mutes.muted, most=most)
        self.pipeline._onlooker = self.live  # noqa: SLF001

    def send(self, name: str, *course: list[float], begin: float = 0.0, at: float = 0.0) -> None:
        """Let the pipeline take a group's readings at a monotonic time, five seconds apart."""
        batch = [message(begin + 5 * n, values, f"p/{name}") for n, values in enumerate(course)]
        self.run((at, batch))

    def look(self) -> dict[str, dict[str, Any]]:
        """Digest, and return what is new by group."""
        since = self.live.turn
        self.live.digest()
        return {line["group"]: line for line in page_data.groups(self.live, self.live.touched(since))}


@pytest.fixture
def world(toy_bundle: Path) -> Watched:
    """A pipeline whose page follows a hundred groups."""
    return Watched(toy_bundle)


def test_a_group_is_told_once(world: Watched) -> None:
    """What changed since the last look is told, and nothing twice."""
    world.send("a", *[HEALTHY] * 3)
    line = world.look()["a"]
    assert (line["state"], line["far"], line["firing"], line["ts"]) == ("normal", False, False, NOW + 10)
    assert line["score"] == pytest.approx(0.0, abs=1e-3)
    assert [point[2:] for point in line["points"]] == [HEALTHY] * 3
    assert world.look() == {}
    world.send("a", HEALTHY, begin=15.0)
    assert world.look()["a"]["point"] == [NOW + 15, pytest.approx(0.0, abs=1e-3), *HEALTHY]


def test_readings_before_a_window(world: Watched) -> None:
    """Values are shown from the first reading on, without a score."""
    world.send("a", HEALTHY)
    line = world.look()["a"]
    assert line["state"] == "filling"
    assert line["score"] is None
    assert line["point"][2:] == HEALTHY


def test_refused_readings_are_not_shown(world: Watched) -> None:
    """What was dropped as late or from the future is no value of a group."""
    world.send("a", *[HEALTHY] * 3, begin=20.0)
    world.send("a", FAULTY, begin=10.0)
    world.send("a", FAULTY, begin=9e6)
    line = world.look()["a"]
    assert line["ts"] == NOW + 30
    assert line["points"][-1][2:] == HEALTHY


def test_an_alert_from_its_begin_to_its_end(world: Watched) -> None:
    """An incident is told with the window that began it, and afterwards as ended."""
    world.send("a", HEALTHY, HEALTHY, FAULTY, FAULTY)
    world.live.digest()
    (firing,) = page_data.alerts(world.live, FEATURES)["firing"]
    assert (firing["group"], firing["since"]) == ("a", NOW + 10)
    assert "temperature_2" in firing["reason"]
    assert (
        firing["values"]
        == "temperature_1 20 degC, humidity_1 50 %RH, temperature_2 30 degC, humidity_2 50 %RH"
    )
    turn = world.live.alerts_turn
    world.live.digest()
    assert world.live.alerts_turn == turn
    world.send("a", *[HEALTHY] * 3, begin=20.0)
    world.live.digest()
    assert page_data.alerts(world.live, FEATURES) == {
        "firing": [],
        "ended": [{"group": "a", "since": NOW + 10, "until": NOW + 30}],
        "marks": {},
    }


def test_an_alert_of_an_earlier_process(world: Watched) -> None:
    """An incident that was open at the start is told though its event was sent long ago."""
    world.send("a", HEALTHY, HEALTHY, FAULTY)
    later = Live(4, spacing=5.0)
    later.know(world.memory.board.lines())
    later.digest()
    (firing,) = page_data.alerts(later, FEATURES)["firing"]
    assert firing == {"group": "a", "since": NOW + 10, "score": None, "reason": "", "values": ""}


def test_what_operators_said(world: Watched) -> None:
    """An open incident that somebody takes care of, or that is muted, is marked so until it ends."""
    world.send("a", HEALTHY, HEALTHY, FAULTY)
    world.send("b", HEALTHY, HEALTHY, HEALTHY)
    world.look()
    assert page_data.alerts(world.live, FEATURES)["marks"] == {}
    for request in (Acknowledge(group="a"), Silence(group="*", minutes=1)):
        world.desk.ask(request, lambda _: None)
    world.run((1.0, []))
    world.look()
    assert page_data.alerts(world.live, FEATURES)["marks"] == {"a": ["acknowledged", "muted"]}
    assert world.live.alerts_turn == world.live.turn
    world.run((62.0, []))
    world.look()
    assert page_data.alerts(world.live, FEATURES)["marks"] == {"a": ["acknowledged"]}
    world.send("a", *[HEALTHY] * 3, begin=15.0, at=63.0)
    world.look()
    assert page_data.alerts(world.live, FEATURES)["marks"] == {}


def test_what_nobody_attends_comes_first(world: Watched) -> None:
    """Alerts that somebody takes care of, or muted, come behind all others, and the newest comes first."""
    for group in "abcd":
        world.send(group, HEALTHY, HEALTHY, FAULTY)
    for request in (Acknowledge(group="d"), Silence(group="b", minutes=1)):
        world.desk.ask(request, lambda _: None)
    world.run((1.0, []))
    world.look()
    assert [alert["group"] for alert in page_data.alerts(world.live, FEATURES)["firing"]] == [
        "c",
        "a",
        "d",
        "b",
    ]


def test_silence(world: Watched) -> None:
    """A group that falls silent is told though nothing was read."""
    world.send("a", *[HEALTHY] * 3)
    world.look()
    world.run((100.0, []))
    assert world.look()["a"]["state"] == "silent"


def test_the_worse_push_out_the_well(toy_bundle: Path) -> None:
    """With more groups than are followed, those that are faulty, far or silent take the others' places."""
    world = Watched(toy_bundle, most=3)
    for name in "abcd":
        world.send(name, *[HEALTHY] * 3)
    assert set(world.look()) == {"a", "b", "c"}
    world.send("e", HEALTHY, HEALTHY, FAULTY)
    world.send("f", HEALTHY, HEALTHY, FAR)
    assert {"e", "f"} <= set(world.look())
    assert set(world.live.gone) == {"a", "b"}
    assert set(world.live.lines) == {"c", "e", "f"}
    assert world.live.lines["f"].out_of_range
    for name in "ghi":
        world.send(name, HEALTHY, HEALTHY, FAULTY)
    world.live.digest()
    assert set(world.live.lines) == {"e", "f", "g"}
    assert set(world.live.alerts) == {"e", "g"}


def test_a_group_in_anothers_place(toy_bundle: Path) -> None:
    """Who takes a place has none of the history of who had it."""
    world = Watched(toy_bundle, most=1)
    world.send("a", *[HEALTHY] * 3)
    world.live.digest()
    world.send("b", HEALTHY, HEALTHY, FAULTY)
    assert [point[2:] for point in world.look()["b"]["points"]] == [HEALTHY, HEALTHY, FAULTY]


def test_what_is_gone_is_forgotten_at_last(toy_bundle: Path) -> None:
    """It is known for a while which groups were dropped, and not for ever."""
    world = Watched(toy_bundle, most_groups=1)
    world.send("a", *[HEALTHY] * 3)
    world.live.digest()
    world.send("b", *[HEALTHY] * 3)
    for _ in range(REMEMBERED):
        world.live.digest()
        assert set(world.live.gone) == {"a"}
    world.live.digest()
    assert not world.live.gone


def test_groups_that_are_set_aside(toy_bundle: Path) -> None:
    """A group that the pipeline holds no longer is on the page no longer, with its alert."""
    world = Watched(toy_bundle, most_groups=1)
    world.send("a", HEALTHY, HEALTHY, FAULTY)
    world.live.digest()
    assert set(world.live.alerts) == {"a"}
    world.send("b", *[HEALTHY] * 3)
    assert set(world.look()) == {"b"}
    assert set(world.live.gone) == {"a"}
    assert not world.live.alerts


def test_nobody_looks(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody looks, no more than so many readings wait, the newest, and no state is missed."""
    monkeypatch.setattr("monitor.web.live._MOST_WAITING", 50)
    world = Watched(toy_bundle)
    for number in range(40):
        world.send(f"g{number}", *[HEALTHY] * 3)
    lines = world.look()
    assert {name: line["state"] for name, line in lines.items()} == {f"g{n}": "normal" for n in range(40)}
    shown = [name for name, line in lines.items() if not math.isnan(line["ts"])]
    assert sorted(shown) == [f"g{number}" for number in range(23, 40)]


def test_events_that_wait(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody looks, no more than so many events wait, the newest; all alerts are told."""
    monkeypatch.setattr("monitor.web.live._MOST_EVENTS", 2)
    world = Watched(toy_bundle)
    for name in "abc":
        world.send(name, HEALTHY, HEALTHY, FAULTY)
    world.live.digest()
    assert {name: event is not None for name, event in world.live.alerts.items()} == {
        "a": False,
        "b": True,
        "c": True,
    }


def test_an_alert_that_is_said_again(toy_bundle: Path) -> None:
    """Where each window is an event, an alert is told with the window that began it."""
    world = Watched(toy_bundle, alerts=Alerts(mode="every_window"))
    world.send("a", HEALTHY, HEALTHY, *[FAULTY] * 3)
    world.live.digest()
    world.send("a", FAULTY, begin=25.0)
    world.live.digest()
    event = world.live.alerts["a"]
    assert event is not None
    assert event.window_ts[-1] == NOW + 10


def test_two_threads(world: Watched) -> None:
    """A page that looks while the pipeline works misses nothing and is given nothing twice."""
    seen: dict[str, float] = {}
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for name, line in world.look().items():
                assert line["ts"] >= seen.get(name, 0.0)
                seen[name] = line["ts"]

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for number in range(100):
            world.send(f"g{number % 10}", HEALTHY, begin=5.0 * (number // 10))
    finally:
        done.set()
        thread.join()
    for name, line in world.look().items():
        seen[name] = line["ts"]
    assert seen == {f"g{number}": NOW + 45 for number in range(10)}
