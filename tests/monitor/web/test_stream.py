"""The events of a real monitor, read by clients that connect, disconnect and stall."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
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
    """Connect to a monitor's events."""
    with httpx.stream("GET", f"{monitor.address}/events", timeout=TIMEOUT_S) as response:
        assert response.status_code == 200
        yield read_events(response)


@pytest.fixture
def monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor that is ready."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as ready:
        yield ready


def test_forgotten_group(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """An open page is told to drop the row of a forgotten group."""
    with connect_client(mosquitto.port) as plant:
        plant.publish(TOPIC, reading(1000, HEALTHY))
        wait_until(lambda: monitor.metric("groups", state="filling") == 1, "it is known")
        with open_events(monitor) as received:
            # In the full state, or in the news if the page was faster than its data.
            next(name for name, content in received if "line1/station7" in json.dumps(content))
            plant.publish("sensor-monitor/request/forget", {"group": "line1/station7"})
            changes = (content for name, content in islice(received, 30) if name == "news")
            gone = next((content["gone"] for content in changes if content.get("gone")), [])
    assert gone == ["line1/station7"]


def test_full_state_then_changes(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """A new client gets the full state and then changes only, without groups that did not change."""
    with connect_client(mosquitto.port) as plant:
        for name in ("a", "b"):
            plant.publish(f"plant/line1/{name}/reading", [reading(1000 + 5 * n, HEALTHY) for n in range(3)])
        wait_until(lambda: monitor.metric("groups", state="normal") == 2, "both are judged")
        with open_events(monitor) as received:
            name, content = next(received)
            assert name == "all"
            assert content["alerts"] == {"firing": [], "ended": [], "marks": {}}
            statuses: dict[str, Any] = {}
            for name, content in received:
                groups = content if name == "groups" else content["groups"]
                statuses.update({status["group"]: status for status in groups})
                newest = {group for group, status in statuses.items() if status["ts"] == 1010}
                if newest == {"line1/a", "line1/b"}:
                    break
            plant.publish("plant/line1/a/reading", reading(1015, HEALTHY))
            changes = next(content for name, content in received if name == "news" and content["groups"])
            (status,) = changes["groups"]
            assert (status["group"], status["ts"], status["point"][2:]) == ("line1/a", 1015, HEALTHY)
            assert "alerts" not in changes


def test_fault_is_sent_within_two_seconds(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """The alert is in the event that first counts it, or in the next one, a second later."""
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
    """After a restart a monitor sends restored groups and open incidents, also without a broker."""
    with connect_client(mosquitto.port) as plant:
        plant.publish(TOPIC, [reading(1000 + 5 * n, FAULTY) for n in range(3)])
        wait_until(lambda: monitor.metric("alerts_firing") == 1, "it fires")
    assert monitor.terminate() == 0
    mosquitto.stop()
    monitor.start()
    with open_events(monitor) as received:
        _, content = next(received)
        assert [alert["group"] for alert in content["alerts"]["firing"]] == ["line1/station7"]
        _, (status,) = next(received)
        assert (status["group"], status["state"], status["firing"]) == ("line1/station7", "faulty", True)


def test_slow_client_gets_missed_points(toy_bundle: Path) -> None:
    """A client that reads events rarely gets all points that it missed, and the groups that were removed."""
    harness = LivePipelineHarness(toy_bundle, max_groups=2)
    status = {"features": FEATURES}
    stream = Stream(harness.live, lambda: status)

    async def read_slowly() -> list[Any]:
        running = asyncio.create_task(stream.run())
        received = stream.events()
        assert b"retry" in await anext(received)
        for name in ("a", "b"):
            harness.send(name, *[HEALTHY] * 3)
        assert (await anext(received)).startswith(b"event: all")
        for number in range(3):  # three revisions that the client does not read
            harness.send("b", HEALTHY, start_s=15.0 + 5 * number)
            harness.live.apply_pending()
        harness.send("c", HEALTHY, start_s=30.0)
        harness.live.apply_pending()
        events: list[bytes] = []
        while not events or b"news" not in events[-1]:
            events.append(await anext(received))
        running.cancel()
        return [msgspec.json.decode(event.split(b"data: ")[1]) for event in events]

    *_, content = asyncio.run(read_slowly())
    statuses = {status["group"]: status for status in content["groups"]}
    assert [point[0] - NOW for point in statuses["b"]["points"]] == [0, 5, 10, 15, 20, 25]
    assert content["gone"] == ["a"]
    assert set(statuses) == {"b", "c"}


def test_client_limit(monitor: Monitor) -> None:
    """At most `MAX_CLIENTS` clients may connect; one that disconnects makes room and leaves no open file."""
    assert monitor.process is not None
    files = Path(f"/proc/{monitor.process.pid}/fd")
    before = len(list(files.iterdir()))
    for _ in range(2):
        with ExitStack() as stack:
            pages = [stack.enter_context(open_events(monitor)) for _ in range(MAX_CLIENTS)]
            assert {next(received)[0] for received in pages} == {"all"}
            with httpx.stream("GET", f"{monitor.address}/events", timeout=TIMEOUT_S) as refused:
                assert refused.status_code == 503
                assert refused.read().decode() == f"{MAX_CLIENTS} pages are open already\n"
        wait_until(lambda: len(list(files.iterdir())) <= before, "all connections are closed")
        with open_events(monitor) as received:
            assert next(received)[0] == "all"
        wait_until(lambda: len(list(files.iterdir())) <= before, "that connection is closed")


def test_stop_with_open_clients(monitor: Monitor) -> None:
    """A monitor stops in good order however many pages are open."""
    with ExitStack() as stack:
        open_pages = [stack.enter_context(open_events(monitor)) for _ in range(5)]
        for received in open_pages:
            assert next(received)[0] == "all"
        assert monitor.terminate() == 0
        for received in open_pages:
            assert all(name == "news" for name, _ in received)  # until the response ends properly
    assert "ERROR" not in monitor.log()
    assert monitor.log().rstrip().endswith("stopped")


def test_no_thread_is_left(toy_bundle: Path, mosquitto: Mosquitto) -> None:
    """A daemon inside another program ends its HTTP thread when it stops, though a page is open."""
    daemon = build_daemon(toy_bundle, mosquitto)
    daemon.start()
    with httpx.stream("GET", f"{daemon.address}/events", timeout=TIMEOUT_S) as response:
        assert next(read_events(response))[0] == "all"
        daemon.stop()
        assert "http" not in {thread.name for thread in threading.enumerate()}


def count_connections(port: int) -> int:
    """Return how many connections to a port are established."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(columns[1].endswith(f":{port:04X}") and columns[3] == "01" for columns in sockets)


def test_stalled_client_is_disconnected(
    monkeypatch: pytest.MonkeyPatch, toy_bundle: Path, mosquitto: Mosquitto
) -> None:
    """A client that reads nothing is disconnected, and all others get their events as before."""
    # Longer than a busy machine keeps the reading client from reading.
    monkeypatch.setattr(server, "_TCP_USER_TIMEOUT_MS", 2000)
    daemon = build_daemon(toy_bundle, mosquitto)
    daemon.start()
    host, _, port = daemon.address.removeprefix("http://").rpartition(":")
    try:
        wait_until(lambda: daemon.ready, "it is ready")
        with connect_client(mosquitto.port) as plant, socket.socket() as stalled_client:
            for name in range(400):
                plant.publish(f"plant/x/{name}/reading", [reading(1000 + 5 * n, HEALTHY) for n in range(90)])
            wait_until(
                lambda: daemon.registry.get_sample_value("sensor_monitor_groups", {"state": "normal"}) == 400,
                "the full state is larger than the sockets' buffers",
            )
            with httpx.stream("GET", f"{daemon.address}/events", timeout=TIMEOUT_S) as response:
                received = read_events(response)
                assert next(received)[0] == "all"
                stalled_client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                stalled_client.connect((host, int(port)))
                stalled_client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                wait_until(lambda: count_connections(int(port)) == 2, "it is connected")
                wait_until(
                    lambda: next(received) and count_connections(int(port)) == 1,
                    "the stalled client is disconnected",
                )
                assert next(received)[0] == "news"
    finally:
        daemon.stop()
