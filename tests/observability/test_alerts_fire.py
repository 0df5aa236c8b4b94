import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from config.grafana.dashboard import DASHBOARD_FILE
from tests.conftest import BrokerFactory, wait_until
from tests.observability.prometheus_server import expand_variables, running_prometheus
from tests.security.broker_clients import ProxyThatNamesTakeovers, connect_as
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES, save_toy_bundle

_SETTINGS = """
[operators]
audit_file = "AUDIT_FILE"
[windows]
max_gap = 5
stale_after = 5
[alerts]
clear_after = 1
[[input.sources]]
topic = "plant/{line}/{station}/reading"
[[input.sources]]
topic = "values/{room}/{feature}"
"""
_MAX_FILE_BYTES = 4096
"""Maximum file size with which writes of the store fail: enough for the log file, too small for the store."""


def readings(start: int, rows: list[list[float]]) -> list[dict[str, float]]:
    """Return readings of one message, 5 s apart, beginning with reading number `start`."""
    return [
        {"ts": 1000.0 + 5 * (start + number), **dict(zip(NAMES, row, strict=True))}
        for number, row in enumerate(rows)
    ]


class PlantSimulator:
    """Sends healthy readings, or readings with nearly every fault that a rule looks for."""

    def __init__(self, sender: Client, monitor: Monitor) -> None:
        self._sender = sender
        self._monitor = monitor
        self._rounds = 0

    def send_healthy(self) -> None:
        """Send one healthy reading."""
        self._send("healthy", readings(self._rounds, [HEALTHY]))
        self._rounds += 1

    def send_faults(self) -> None:
        """Send short incidents, a long one, late readings and unreadable ones, if the queue is empty."""
        if self._monitor.metric("queue_readings") > 0:
            return
        self._send("flickering", readings(16 * self._rounds, [FAULTY, HEALTHY, HEALTHY, HEALTHY] * 4))
        self._send("broken", readings(1000 * self._rounds, [FAULTY] * 1000))
        self._send("broken", readings(0, [HEALTHY] * 200))  # late
        self._send("broken", [{"ts": 1000.0}] * 50)  # unreadable
        self._send_values()
        self._rounds += 1

    def _send_values(self) -> None:
        """Send values of a room: usable ones of all features but the last, unreadable ones and a late one."""
        now = time.time()
        for name in NAMES[:-1]:
            self._sender.publish(f"values/room1/{name}", {"ts": now, "value": 20.0})
        self._sender.publish(f"values/room1/{NAMES[0]}", {"ts": now, "value": "broken"})
        self._sender.publish(f"values/room1/{NAMES[0]}", {"ts": now - 1000, "value": 20.0})

    def request(self, name: str, **fields: object) -> None:
        """Send a request, as an operator does."""
        self._sender.publish(f"sensor-monitor/request/{name}", json.dumps(fields).encode())

    def invent_groups(self) -> None:
        """Send a reading each of more new groups than the plant may gain at once."""
        for number in range(1100):
            self._send(f"invented{number}", readings(0, [HEALTHY]))

    def flood(self) -> None:
        """Keep the monitor busy for a moment, and meanwhile send more than its queue can hold."""
        self._send("busy", readings(0, [FAULTY] * 5000))
        for _ in range(100):
            self._send("busy", bytes(900_000), qos=0)

    def _send(self, station: str, payload: Any, qos: int = 1) -> None:
        self._sender.publish(f"plant/line1/{station}/reading", payload, qos)


def limit_file_size(monitor: Monitor, max_bytes: int | None) -> None:
    """Limit the size of files that the monitor writes, in bytes; None removes the limit."""
    assert monitor.process is not None
    _, hard_limit = resource.prlimit(monitor.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(
        monitor.process.pid,
        resource.RLIMIT_FSIZE,
        (hard_limit if max_bytes is None else max_bytes, hard_limit),
    )


def connection_query() -> tuple[str, dict[str, str]]:
    """Return the query of the panel "Connection", and the text that the panel shows for each value."""
    panel = next(
        panel for panel in json.loads(DASHBOARD_FILE.read_text())["panels"] if panel["title"] == "Connection"
    )
    mappings = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    return panel["targets"][0]["expr"], {value: mapping["text"] for value, mapping in mappings.items()}


def prepare_monitor(folder: Path, port: int) -> Monitor:
    """Return a monitor with a damaged store, and a record of requests as large as a file may become."""
    save_toy_bundle(folder / "bundle", extra_layers=200)
    (folder / "state.db").write_bytes(bytes(5000))  # a store whose disk lost it
    audit_file = folder / "audit.jsonl"
    audit_file.write_bytes(b"\n" * _MAX_FILE_BYTES)
    settings = _SETTINGS.replace("AUDIT_FILE", str(audit_file))
    return Monitor(folder, folder / "bundle", port, settings, mqtt_toml="qos = 0")


def fire_rules_of_operators(simulator: PlantSimulator, has_fired: Callable[..., bool]) -> None:
    """Send what the rules for requests, mutes and new groups look for, and wait until they fire."""
    simulator.invent_groups()
    wait_until(lambda: has_fired("Excess"), "Excess fires for too many new groups")
    simulator.request("silence", group="*", minutes=60)
    for _ in range(300):  # 200 may come at once
        simulator.request("nothing")
    wait_until(lambda: has_fired("RequestsDropped"), "RequestsDropped fires")
    wait_until(lambda: has_fired("MostGroupsMuted"), "MostGroupsMuted fires for a wide mute")


def test_alerts(tmp_path: Path, new_broker: BrokerFactory) -> None:
    """Each alert rule fires when its fault occurs, and the dashboard shows the state of the connection."""
    (tmp_path / "acl").write_text("topic readwrite #\ntopic deny sensor-monitor/alerts/line1/broken\n")
    mosquitto = new_broker("allow_anonymous true", f"acl_file {tmp_path / 'acl'}")
    mosquitto.start()
    proxy = ProxyThatNamesTakeovers(mosquitto.port)
    monitor = prepare_monitor(tmp_path, proxy.port)
    with (
        running_prometheus(tmp_path / "prometheus") as server,
        connect_client(mosquitto.port) as mqtt_client,
        run_monitor(monitor),
    ):
        simulator = PlantSimulator(mqtt_client, monitor)
        instance = monitor.address.removeprefix("http://")
        other_instance = f"127.0.0.1:{server.port}"
        fired_alerts: dict[str, str] = {}

        def has_fired(*names: str, of: str | None = instance) -> bool:
            fired_alerts.update(server.firing_alerts(of))
            return {f"SensorMonitor{name}" for name in names} <= fired_alerts.keys()

        expr, value_texts = connection_query()

        def dashboard_shows(text: str) -> bool:
            samples = server.query(expand_variables(expr, instance))
            return [value_texts[f"{value:.0f}"] for _, value in samples] == [text]

        wait_until(lambda: has_fired("Absent", of=None), "Absent fires without targets")

        server.set_targets(instance, other_instance)
        wait_until(
            lambda: simulator.send_healthy() or server.query(f'up{{instance="{instance}"}} == 1'),
            "the monitor is scraped",
        )
        wait_until(
            lambda: has_fired("BundleMissing", of=other_instance), "BundleMissing fires for another program"
        )
        wait_until(
            lambda: simulator.send_healthy() or dashboard_shows("connected"), "the dashboard shows connected"
        )
        wait_until(lambda: simulator.send_healthy() or has_fired("StoreDamaged"), "StoreDamaged fires")
        assert fired_alerts.keys() == {
            "SensorMonitorAbsent",
            "SensorMonitorBundleMissing",
            "SensorMonitorStoreDamaged",
        }

        simulator.flood()
        limit_file_size(monitor, _MAX_FILE_BYTES)
        rule_names = (
            *("FalseAlarmStorm", "MostlyFaulty", "Unreadable", "WrongTimes"),
            *("Overflow", "Slow", "StoreFailing", "MessagesRefused"),
            *("FeatureStale", "ValuesUnreadable", "ValuesLate"),
        )
        wait_until(
            lambda: simulator.send_faults() or has_fired(*rule_names), "alerts on faulty readings fire"
        )
        wait_until(lambda: simulator.request("nothing") or has_fired("AuditFailing"), "AuditFailing fires")
        limit_file_size(monitor, None)

        fire_rules_of_operators(simulator, has_fired)

        def ask_for_another_host() -> None:
            httpx.get(f"{monitor.address}/", headers={"host": "evil.example"})

        wait_until(lambda: ask_for_another_host() or has_fired("HttpProbed"), "HttpProbed fires")
        wait_until(lambda: has_fired("NoReadings", "GroupsSilent"), "alerts fire when no readings arrive")
        wait_until(
            lambda: simulator.request("forget", group="*") or has_fired("GroupsForgotten"),
            "GroupsForgotten fires",
        )

        monitor.configure("[alerts]\nclear_after = 0")
        wait_until(lambda: simulator.request("reload") or has_fired("ReloadRefused"), "ReloadRefused fires")

        wait_until(
            lambda: (
                connect_as(mosquitto.port, "monitor-under-test") and has_fired("SessionTaken", "SessionLost")
            ),
            "SessionTaken and SessionLost fire for another client with the monitor's id",
        )

        mosquitto.stop()
        wait_until(lambda: has_fired("Disconnected"), "Disconnected fires without a broker")
        wait_until(lambda: dashboard_shows("no broker"), "the dashboard shows no broker")

        monitor.kill()
        wait_until(lambda: has_fired("Down"), "Down fires without a monitor")
        wait_until(lambda: dashboard_shows("down"), "the dashboard shows down")

        rules = {rule["alert"] for group in server.rules["groups"] for rule in group["rules"]}
        # A day takes minutes here, too: config/prometheus/rules_test.yml has that rule.
        rules.remove("SensorMonitorMutedForLong")
        assert fired_alerts.keys() == rules, "every rule has fired"
        proxy.close()
        unexpanded = [text for text in fired_alerts.values() if "<" in text]  # Prometheus writes <no value>
        assert not unexpanded
