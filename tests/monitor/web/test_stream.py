"""The events of a real monitor, read by clients that come, go, sleep and stay."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from monitor.web import server
from monitor.web.stream import MOST_CLIENTS, Stream
from tests.conftest import PATIENCE, Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.monitor.service.pipeline_fixture import NOW
from tests.monitor.service.test_daemon import build
from tests.monitor.web.test_live import Watched
from tests.support.processes import Monitor, client, running
from tests.support.toy_bundle import FAULTY, FEATURES, HEALTHY

Event = tuple[str, Any]


def read(response: httpx.Response) -> Iterator[Event]:
    """Yield name and content of each event."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@contextmanager
def events(monitor: Monitor) -> Iterator[Iterator[Event]]:
    """Listen to a monitor's events."""
    with httpx.stream("GET", f"{monitor.address}/events", timeout=PATIENCE) as response:
        assert response.status_code == 200
        yield read(response)


@pytest.fixture
def monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor that is ready."""
    with running(Monitor(tmp_path, toy_bundle, mosquitto.port)) as ready:
        yield ready


def test_first_all_then_what_is_new(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """Who comes is told everything, and from then on what is new, a quiet group not once more."""
    with client(mosquitto.port) as plant:
        for name in ("a", "b"):
            plant.publish(f"plant/line1/{name}/reading", [reading(1000 + 5 * n, HEALTHY) for n in range(3)])
        wait_until(lambda: monitor.metric("groups", state="normal") == 2, "both are judged")
        with events(monitor) as told:
            name, content = next(told)
            assert name == "all"
            assert content["alerts"] == {"firing": [], "ended": [], "marks": {}}
            known: dict[str, Any] = {}
            for name, content in told:
                lines = content if name == "groups" else content["groups"]
                known.update({line["group"]: line for line in lines})
                if {group for group, line in known.items() if line["ts"] == 1010} == {"line1/a", "line1/b"}:
                    break
            plant.publish("plant/line1/a/reading", reading(1015, HEALTHY))
            new = next(content for name, content in told if name == "news" and content["groups"])
            (line,) = new["groups"]
            assert (line["group"], line["ts"], line["point"][2:]) == ("line1/a", 1015, HEALTHY)
            assert "alerts" not in new


def test_a_fault_is_told_within_two_seconds(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """The news come once a second; at the latest the ones after those that count the alert tell it."""
    with client(mosquitto.port) as plant, events(monitor) as told:
        plant.publish(
            TOPIC, [reading(1000 + 5 * n, values) for n, values in enumerate([HEALTHY] * 3 + [FAULTY])]
        )
        counted = told_at = None
        for number, (_, content) in enumerate(told):
            if isinstance(content, dict) and content["status"]["firing"] and counted is None:
                counted = number
            if isinstance(content, dict) and content.get("alerts", {}).get("firing"):
                told_at = number
                break
        assert counted is not None
        assert told_at is not None
        assert told_at - counted <= 1


def test_what_an_earlier_process_knew(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """A monitor that was restarted tells what it knew and what fires, also while there is no broker."""
    with client(mosquitto.port) as plant:
        plant.publish(TOPIC, [reading(1000 + 5 * n, FAULTY) for n in range(3)])
        wait_until(lambda: monitor.metric("alerts_firing") == 1, "it fires")
    assert monitor.terminate() == 0
    mosquitto.stop()
    monitor.start()
    with events(monitor) as told:
        _, content = next(told)
        assert [alert["group"] for alert in content["alerts"]["firing"]] == ["line1/station7"]
        _, (line,) = next(told)
        assert (line["group"], line["state"], line["firing"]) == ("line1/station7", "faulty", True)


def test_who_was_slow_is_told_all_that_he_missed(toy_bundle: Path) -> None:
    """Who takes the news seldom is told of each group with all points that came meanwhile, and what went."""
    world = Watched(toy_bundle, most_groups=2)
    status = {"features": FEATURES}
    stream = Stream(world.live, lambda: status)

    async def listen() -> list[Any]:
        ticking = asyncio.create_task(stream.run())
        told = stream.events()
        assert b"retry" in await anext(told)
        for name in ("a", "b"):
            world.send(name, *[HEALTHY] * 3)
        assert (await anext(told)).startswith(b"event: all")
        pieces = []
        for turn in range(3):  # three looks, and nobody asks for the news
            world.send("b", HEALTHY, begin=15.0 + 5 * turn)
            world.live.digest()
        world.send("c", HEALTHY, begin=30.0)
        world.live.digest()
        while not pieces or b"news" not in pieces[-1]:
            pieces.append(await anext(told))
        ticking.cancel()
        return [msgspec.json.decode(piece.split(b"data: ")[1]) for piece in pieces]

    *_, content = asyncio.run(listen())
    lines = {line["group"]: line for line in content["groups"]}
    assert [point[0] - NOW for point in lines["b"]["points"]] == [0, 5, 10, 15, 20, 25]
    assert content["gone"] == ["a"]
    assert set(lines) == {"b", "c"}


def test_so_many_pages(monitor: Monitor) -> None:
    """No more than so many pages are told; who leaves makes room, and leaves nothing behind."""
    assert monitor.process is not None
    files = Path(f"/proc/{monitor.process.pid}/fd")
    before = len(list(files.iterdir()))
    for _ in range(2):
        with ExitStack() as stack:
            pages = [stack.enter_context(events(monitor)) for _ in range(MOST_CLIENTS)]
            assert {next(told)[0] for told in pages} == {"all"}
            with httpx.stream("GET", f"{monitor.address}/events", timeout=PATIENCE) as one_more:
                assert one_more.status_code == 503
                assert one_more.read().decode() == f"{MOST_CLIENTS} pages are open already\n"
        wait_until(lambda: len(list(files.iterdir())) <= before, "all connections are closed")
        with events(monitor) as told:
            assert next(told)[0] == "all"


def test_ends_with_pages_open(monitor: Monitor) -> None:
    """A monitor that is told to stop does, in good order, however many pages are open."""
    with ExitStack() as stack:
        open_pages = [stack.enter_context(events(monitor)) for _ in range(5)]
        for told in open_pages:
            assert next(told)[0] == "all"
        assert monitor.terminate() == 0
        for told in open_pages:
            assert all(name == "news" for name, _ in told)  # to the end, which is a proper one
    assert "ERROR" not in monitor.log()
    assert monitor.log().rstrip().endswith("stopped")


def test_no_thread_is_left(toy_bundle: Path, mosquitto: Mosquitto) -> None:
    """A daemon inside another program gives its HTTP thread back at its stop, though a page is open."""
    daemon = build(toy_bundle, mosquitto)
    daemon.start()
    with httpx.stream("GET", f"{daemon.address}/events", timeout=PATIENCE) as response:
        assert next(read(response))[0] == "all"
        daemon.stop()
        assert "http" not in {thread.name for thread in threading.enumerate()}


def connections(port: int) -> int:
    """Return how many connections are open at the end that listens on a port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "01" for line in lines)


def test_who_sleeps_is_cut(monkeypatch: pytest.MonkeyPatch, toy_bundle: Path, mosquitto: Mosquitto) -> None:
    """A client that doesn't take what it is sent is cut, and all others are told as before."""
    monkeypatch.setattr(server, "_STALLS_AFTER", 500)
    daemon = build(toy_bundle, mosquitto)
    daemon.start()
    host, _, port = daemon.address.removeprefix("http://").rpartition(":")
    try:
        wait_until(lambda: daemon.ready, "it listens")
        with client(mosquitto.port) as plant, socket.socket() as sleeper:
            for name in range(400):
                plant.publish(f"plant/x/{name}/reading", [reading(1000 + 5 * n, HEALTHY) for n in range(90)])
            wait_until(
                lambda: daemon.registry.get_sample_value("sensor_monitor_groups", {"state": "normal"}) == 400,
                "there is more to tell than fits on the way",
            )
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sleeper.connect((host, int(port)))
            sleeper.sendall(b"GET /events HTTP/1.1\r\nHost: monitor\r\n\r\n")
            wait_until(lambda: connections(int(port)) == 1, "the sleeper is there")
            with httpx.stream("GET", f"{daemon.address}/events", timeout=PATIENCE) as response:
                told = read(response)
                assert next(told)[0] == "all"
                assert connections(int(port)) == 2
                wait_until(lambda: next(told) and connections(int(port)) == 1, "the sleeper is cut")
                assert next(told)[0] == "news"
    finally:
        daemon.stop()
