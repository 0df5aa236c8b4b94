import json
import resource
from pathlib import Path
from typing import Any

from config.grafana.dashboard import PATH
from tests.conftest import NewBroker, wait_until
from tests.observability.prometheus_server import expand, prometheus
from tests.support.processes import Client, Monitor, client, running
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES, save_toy_bundle

_SETTINGS = "[windows]\nstale_after = 1\n[alerts]\nclear_after = 1\n"
_ROOM = 4096
"""Bytes that a file may have where the store is to fail: enough for the log, not for the store."""


def readings(first: int, values: list[list[float]]) -> list[dict[str, float]]:
    """Return readings 5 s apart, as a plant sends them in one message."""
    return [
        {"ts": 1000.0 + 5 * (first + number), **dict(zip(NAMES, row, strict=True))}
        for number, row in enumerate(values)
    ]


class Plant:
    """Sends what a plant sends that is well, or that has about everything wrong with it."""

    def __init__(self, sender: Client, monitor: Monitor) -> None:
        self._sender = sender
        self._monitor = monitor
        self._rounds = 0

    def be_well(self) -> None:
        """Send one healthy reading."""
        self._send("well", readings(self._rounds, [HEALTHY]))
        self._rounds += 1

    def be_troubled(self) -> None:
        """Flicker, break, send late, unreadable and too much at once; once the last of it is taken."""
        if self._monitor.metric("queue_readings") > 0:
            return
        self._send("flickers", readings(16 * self._rounds, [FAULTY, HEALTHY, HEALTHY, HEALTHY] * 4))
        self._send("broken", readings(1000 * self._rounds, [FAULTY] * 1000))
        self._send("broken", readings(0, [HEALTHY] * 200))
        self._send("broken", [{"ts": 1000.0}] * 50)
        self._rounds += 1

    def be_changed(self) -> None:
        """Let somebody ask for a reload."""
        self._sender.publish("sensor-monitor/request/reload", b"")

    def flood(self) -> None:
        """Keep the monitor busy for a moment, and send more meanwhile than it holds."""
        self._send("busy", readings(0, [FAULTY] * 5000))
        for _ in range(100):
            self._send("busy", bytes(900_000), qos=0)

    def _send(self, station: str, payload: Any, qos: int = 1) -> None:
        self._sender.publish(f"plant/line1/{station}/reading", payload, qos)


def limit_files(monitor: Monitor, most: int | None) -> None:
    """Set how long a file may be that the monitor writes, in bytes; None: as long as before."""
    assert monitor.process is not None
    _, hard = resource.prlimit(monitor.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(monitor.process.pid, resource.RLIMIT_FSIZE, (hard if most is None else most, hard))


def connection() -> tuple[str, dict[str, str]]:
    """Return the query of the dashboard's first panel, and its words for what it yields."""
    panel = next(panel for panel in json.loads(PATH.read_text())["panels"] if panel["title"] == "Connection")
    words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    return panel["targets"][0]["expr"], {value: word["text"] for value, word in words.items()}


def test_alerts(tmp_path: Path, new_broker: NewBroker) -> None:
    """Each alert rule fires when its fault is really there, and the dashboard shows the connection."""
    (tmp_path / "acl").write_text("topic readwrite #\ntopic deny sensor-monitor/alerts/line1/broken\n")
    mosquitto = new_broker("allow_anonymous true", f"acl_file {tmp_path / 'acl'}")
    mosquitto.start()
    save_toy_bundle(tmp_path / "bundle", work=200)
    monitor = Monitor(tmp_path, tmp_path / "bundle", mosquitto.port, _SETTINGS, mqtt="qos = 0")
    with (
        prometheus(tmp_path / "prometheus") as server,
        client(mosquitto.port) as sender,
        running(monitor),
    ):
        plant = Plant(sender, monitor)
        instance = monitor.address.removeprefix("http://")
        not_a_monitor = f"127.0.0.1:{server.port}"
        seen: dict[str, str] = {}

        def fires(*names: str, of: str | None = instance) -> bool:
            seen.update(server.firing(of))
            return {f"SensorMonitor{name}" for name in names} <= seen.keys()

        expr, words = connection()

        def shows(word: str) -> bool:
            return [words[f"{value:.0f}"] for _, value in server.query(expand(expr, instance))] == [word]

        wait_until(lambda: fires("Absent", of=None), "nothing is scraped")

        server.scrape(instance, not_a_monitor)
        wait_until(lambda: plant.be_well() or server.query(f'up{{instance="{instance}"}} == 1'), "it is up")
        wait_until(lambda: fires("BundleMissing", of=not_a_monitor), "what is scraped is no monitor")
        wait_until(lambda: plant.be_well() or shows("connected"), "the dashboard says so")
        assert seen.keys() == {"SensorMonitorAbsent", "SensorMonitorBundleMissing"}

        plant.flood()
        limit_files(monitor, _ROOM)
        troubles = (
            "FalseAlarmStorm", "MostlyFaulty", "Unreadable", "WrongTimes", "Overflow", "Slow", "StoreFailing",
            "MessagesRefused",
        )  # fmt: skip
        wait_until(lambda: plant.be_troubled() or fires(*troubles), "the plant is troubled")
        limit_files(monitor, None)

        wait_until(lambda: fires("NoReadings", "GroupsSilent"), "the plant stands still")

        monitor.configure("[alerts]\nclear_after = 0")
        wait_until(lambda: plant.be_changed() or fires("ReloadRefused"), "a reload is refused")

        mosquitto.stop()
        wait_until(lambda: fires("Disconnected"), "the broker is gone")
        wait_until(lambda: shows("no broker"), "the dashboard says so")

        monitor.kill()
        wait_until(lambda: fires("Down"), "the monitor is dead")
        wait_until(lambda: shows("down"), "the dashboard says so")

        rules = {rule["alert"] for group in server.rules["groups"] for rule in group["rules"]}
        assert seen.keys() == rules, "no rule is left that nothing here makes fire"
        assert not [text for text in seen.values() if "<" in text], "Prometheus could fill in each text"
