"""Log and metrics have both connections, in whatever order they come and go."""

import logging

import pytest
from prometheus_client import CollectorRegistry

from monitor import bundle
from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.mqtt.connection_status import INPUT, OUTPUT, ConnectionStatus
from monitor.telemetry.metrics import Metrics


@pytest.fixture(autouse=True)
def _warnings_only(caplog: pytest.LogCaptureFixture) -> None:
    """Capture warnings and errors, whatever level another test has set for the process."""
    caplog.set_level(logging.WARNING)


class _Observed:
    def __init__(self, *, is_shared: bool = False) -> None:
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry, bundle.load(DEFAULT_BUNDLE_FOLDER).manifest)
        self.now = 1000.0
        self.status = ConnectionStatus(
            metrics, ("in", "out"), is_shared=is_shared, monotonic=lambda: self.now
        )

    def gauges(self) -> tuple[float | None, float | None, float | None]:
        """Return input, output and both."""
        value = self.registry.get_sample_value
        name = "sensor_monitor_mqtt_connection_up"
        return (
            value(name, {"connection": "input"}),
            value(name, {"connection": "output"}),
            value("sensor_monitor_mqtt_connected"),
        )


def test_output_refused_first(caplog: pytest.LogCaptureFixture) -> None:
    """An output that is refused before the input is up is logged, and the gauge of both stays 0."""
    observed = _Observed()
    observed.status.on_disconnected(OUTPUT, "refused")
    observed.status.on_connected(INPUT, "connected")
    assert observed.gauges() == (1, 0, 0)
    assert [record.getMessage()[:30] for record in caplog.records] == ["alerts and states wait: refuse"]


@pytest.mark.parametrize("first", [INPUT, OUTPUT])
def test_one_of_two_comes_back(caplog: pytest.LogCaptureFixture, first: str) -> None:
    """A problem of both is logged once, and again for the one that stays when the other comes back."""
    observed, (second,) = _Observed(), {INPUT, OUTPUT} - {first}
    for name in (first, second):
        observed.status.on_connected(name, "connected")
    for name in (first, second):
        client_id = {INPUT: "in", OUTPUT: "out"}[name]
        observed.status.on_disconnected(name, f"{client_id!r} isn't admitted")
    assert len(caplog.records) == 1
    observed.status.on_connected(first, "connected")
    assert len(caplog.records) == 2
    assert ("alerts and states wait" in caplog.text) == (OUTPUT in {first, second})
    observed.status.on_connected(second, "connected")
    assert observed.gauges() == (1, 1, 1)


def test_connection_that_comes_and_goes(caplog: pytest.LogCaptureFixture) -> None:
    """One that comes and goes for the same reason is logged once a minute."""
    observed = _Observed()
    for _ in range(100):
        observed.now += 1.5
        observed.status.on_disconnected(OUTPUT, "it broke")
        observed.status.on_connected(OUTPUT, "back")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3


def test_shared_connection() -> None:
    """Where there is one connection, it is both."""
    observed = _Observed(is_shared=True)
    observed.status.on_connected(INPUT, "connected")
    assert observed.gauges() == (1, 1, 1)
    observed.status.on_disconnected(INPUT, "no broker")
    assert observed.gauges() == (0, 0, 0)
