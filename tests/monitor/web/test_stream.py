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
from monitor.web.stream import MAX_CLIENTS, Stream
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.monitor.service.pipeline_fixture import NOW
from tests.monitor.service.test_daemon import build_daemon
from tests.monitor.web.test_live import LivePipelineHarness
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, FEATURES, HEALTHY

Event = tuple[str, Any]


def read_events(response: httpx.Response) -> Iterator[Event]:
    """Yield name and content of each event."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@contextmanager
def open_events(monitor: Monitor) -> Iterator[Iterator[Event]]:
    """Listen to a monitor's events."""
    with httpx.stream("GET", f"{monitor.address}/events", timeout=TIMEOUT_S) as response:
        assert response.status_code == 200
        yield read_events(response)


@pytest.fixture
def monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor that is ready."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as ready:
        yield ready


def test_full_state_then_changes(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """Who comes is told everything, and from then on what is new, a quiet group not once more."""
    with connect_client(mosquitto.port) as plant:
        for name in ("a", "b"):
            plant.publish(f"plant/line1/{name}/reading", [reading(1000 + 5 * n, HEALTHY) for n in range(3)])
        wait_until(lambda: monitor.metric("groups", state="normal") == 2, "both are judged")
        with open_events(monitor) as received:
            name, content = next(received)
            assert name == "all"
            assert content["alerts"] == {"firing": [], "ended": [], "marks": {}}
            known: dict[str, Any] = {}
            for name, content in received:
                lines = content if name == "groups" else content["groups"]
                known.update({line["group"]: line for line in lines})
                if {group for group, line in known.items() if line["ts"] == 1010} == {"line1/a", "line1/b"}:
                    break
            plant.publish("plant/line1/a/reading", reading(1015, HEALTHY))
            new = next(content for name, content in received if name == "news" and content["groups"])
            (line,) = new["groups"]
            assert (line["group"], line["ts"], line["point"][2:]) == ("line1/a", 1015, HEALTHY)
            assert "alerts" not in new


def test_fault_is_sent_within_two_seconds(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """The news come once a second; at the latest the ones after those that count the alert tell it."""
    with connect_client(mosquitto.port) as plant, open_events(monitor) as received:
        plant.publish(
            TOPIC, [reading(1000 + 5 * n, values) for n, values in enumerate([HEALTHY] * 3 + [FAULTY])]
        )
        counted_at = alert_at = None
        for number, (_, content) in enumerate(received):
            if isinstance(content, dict) and content["status"]["firing"] and counted_at is None:
                counted_at = number
            if isinstance(content, dict) and content.get("alerts", {}).get("firing"):
                alert_at = number
                break
        assert counted_at is not None
        assert alert_at is not None
        assert alert_at - counted_at <= 1


def test_state_of_an_earlier_process_is_sent(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """A monitor that was restarted tells what it knew and what fires, also while there is no broker."""
    with connect_client(mosquitto.port) as plant:
        plant.publish(TOPIC, [reading(1000 + 5 * n, FAULTY) for n in range(3)])
        wait_until(lambda: monitor.metric("alerts_firing") == 1, "it fires")
    assert monitor.terminate() == 0
    mosquitto.stop()
    monitor.start()
    with open_events(monitor) as received:
        _, content = next(received)
        assert [alert["group"] for alert in content["alerts"]["firing"]] == ["line1/station7"]
        _, (line,) = next(received)
        assert (line["group"], line["state"], line["firing"]) == ("line1/station7", "faulty", True)


def test_slow_client_gets_missed_points(toy_bundle: Path) -> None:
    """Who takes the news seldom is told of each group with all points that came meanwhile, and what went."""
    harness = LivePipelineHarness(toy_bundle, max_groups=2)
    status = {"features": FEATURES}
    stream = Stream(harness.live, lambda: status)

    async def listen() -> list[Any]:
        ticking = asyncio.create_task(stream.run())
        received = stream.events()
        assert b"retry" in await anext(received)
        for name in ("a", "b"):
            harness.send(name, *[HEALTHY] * 3)
        assert (await anext(received)).startswith(b"event: all")
        pieces = []
        for turn in range(3):  # three looks, and nobody asks for the news
            harness.send("b", HEALTHY, start_s=15.0 + 5 * turn)
            harness.live.apply_pending()
        harness.send("c", HEALTHY, start_s=30.0)
        harness.live.apply_pending()
        while not pieces or b"news" not in pieces[-1]:
            pieces.append(await anext(received))
        ticking.cancel()
        return [msgspec.json.decode(piece.split(b"data: ")[1]) for piece in pieces]

    *_, content = asyncio.run(listen())
    lines = {line["group"]: line for line in content["groups"]}
    assert [point[0] - NOW for point in lines["b"]["points"]] == [0, 5, 10, 15, 20, 25]
    assert content["gone"] == ["a"]
    assert set(lines) == {"b", "c"}


def test_client_limit(monitor: Monitor) -> None:
    """No more than so many pages are told; who leaves makes room, and leaves nothing behind."""
    assert monitor.process is not None
    files = Path(f"/proc/{monitor.process.pid}/fd")
    before = len(list(files.iterdir()))
    for _ in range(2):
        with ExitStack() as stack:
            pages = [stack.enter_context(open_events(monitor)) for _ in range(MAX_CLIENTS)]
            assert {next(received)[0] for received in pages} == {"all"}
            with httpx.stream("GET", f"{monitor.address}/events", timeout=TIMEOUT_S) as one_more:
                assert one_more.status_code == 503
                assert one_more.read().decode() == f"{MAX_CLIENTS} pages are open already\n"
        wait_until(lambda: len(list(files.iterdir())) <= before, "all connections are closed")
        with open_events(monitor) as received:
            assert next(received)[0] == "all"


def test_stop_with_open_clients(monitor: Monitor) -> None:
    """A monitor that is told to stop does, in good order, however many pages are open."""
    with ExitStack() as stack:
        open_pages = [stack.enter_context(open_events(monitor)) for _ in range(5)]
        for received in open_pages:
            assert next(received)[0] == "all"
        assert monitor.terminate() == 0
        for received in open_pages:
            assert all(name == "news" for name, _ in received)  # to the end, which is a proper one
    assert "ERROR" not in monitor.log()
    assert monitor.log().rstrip().endswith("stopped")


def test_no_thread_is_left(toy_bundle: Path, mosquitto: Mosquitto) -> None:
    """A daemon inside another program gives its HTTP thread back at its stop, though a page is open."""
    daemon = build_daemon(toy_bundle, mosquitto)
    daemon.start()
    with httpx.stream("GET", f"{daemon.address}/events", timeout=TIMEOUT_S) as response:
        assert next(read_events(response))[0] == "all"
        daemon.stop()
        assert "http" not in {thread.name for thread in threading.enumerate()}


def count_connections(port: int) -> int:
    """Return how many connections are open at the end that listens on a port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "01" for line in lines)


def test_stalled_client_is_disconnected(
    monkeypatch: pytest.MonkeyPatch, toy_bundle: Path, mosquitto: Mosquitto
) -> None:
    """A client that doesn't take what it is sent is cut, and all others are told as before."""
    monkeypatch.setattr(server, "_TCP_USER_TIMEOUT_MS", 500)
    daemon = build_daemon(toy_bundle, mosquitto)
    daemon.start()
    host, _, port = daemon.address.removeprefix("http://").rpartition(":")
    try:
        wait_until(lambda: daemon.ready, "it listens")
        with connect_client(mosquitto.port) as plant, socket.socket() as stalled_client:
            for name in range(400):
                plant.publish(f"plant/x/{name}/reading", [reading(1000 + 5 * n, HEALTHY) for n in range(90)])
            wait_until(
                lambda: daemon.registry.get_sample_value("sensor_monitor_groups", {"state": "normal"}) == 400,
                "there is more to tell than fits on the way",
            )
            stalled_client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled_client.connect((host, int(port)))
            stalled_client.sendall(b"GET /events HTTP/1.1\r\nHost: monitor\r\n\r\n")
            wait_until(lambda: count_connections(int(port)) == 1, "the sleeper is there")
            with httpx.stream("GET", f"{daemon.address}/events", timeout=TIMEOUT_S) as response:
                received = read_events(response)
                assert next(received)[0] == "all"
                assert count_connections(int(port)) == 2
                wait_until(lambda: next(received) and count_connections(int(port)) == 1, "the sleeper is cut")
                assert next(received)[0] == "news"
    finally:
        daemon.stop()
