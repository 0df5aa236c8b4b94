import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from monitor.config.http_settings import HttpSettings
from monitor.config.mqtt_settings import MqttSettings
from monitor.config.settings import Settings, StoreSettings
from monitor.mqtt.client_id import client_id
from monitor.service import builder
from monitor.service.daemon import Daemon
from tests.conftest import Mosquitto, wait_until


def build_daemon(bundle: Path, broker: Mosquitto) -> Daemon:
    """Build a daemon for a broker."""
    store = StoreSettings(path=broker.folder / "state.db")
    return builder.build_daemon(
        Settings(bundle=bundle, mqtt=MqttSettings(port=broker.port), http=HttpSettings(port=0), store=store)
    )


def test_thread_that_dies(toy_bundle: Path, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in the pipeline ends the daemon with exit code 1 and its traceback in the log."""
    daemon = build_daemon(toy_bundle, mosquitto)
    pipeline = daemon._pipeline_thread._pipeline  # noqa: SLF001, a defect that no test can cause otherwise
    pipeline._groups = None  # type: ignore[assignment]  # noqa: SLF001
    with caplog.at_level(logging.CRITICAL):
        daemon.start()
        assert daemon.run() == 1
        daemon.stop()
    (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert record.getMessage() == "thread 'pipeline' died, so the monitor stops"
    assert record.exc_info is not None
    assert record.exc_info[0] is AttributeError


def test_taken_over(toy_bundle: Path, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    """If a newer monitor takes over the client id, the daemon ends with exit code 2 and logs the id."""
    daemon = build_daemon(toy_bundle, mosquitto)
    daemon.start()
    source = daemon._connections._source  # noqa: SLF001
    source.on_taken_over()  # type: ignore[attr-defined]  # as the session does
    assert daemon.run() == 2
    daemon.stop()
    assert "another monitor, which started later, connected as 'sensor-monitor-" in caplog.text


def test_start_and_stop(toy_bundle: Path, mosquitto: Mosquitto) -> None:
    """A daemon can be started and stopped inside another program, and its pipeline thread ends."""
    daemon = build_daemon(toy_bundle, mosquitto)
    daemon.start()
    wait_until(
        lambda: daemon.registry.get_sample_value("sensor_monitor_mqtt_connected") == 1, "it is connected"
    )
    daemon.request_stop()
    assert daemon.run() == 0
    daemon.stop()
    assert not daemon._pipeline_thread.is_alive  # noqa: SLF001


def test_client_ids() -> None:
    """Monitors on one machine with different base topics have different client ids."""
    first, second = (
        client_id(Settings(mqtt=MqttSettings(base_topic=topic))) for topic in ("sensor-monitor", "a/b")
    )
    assert first.removeprefix("sensor-monitor-") == second.removeprefix("a-b-")
    assert first != second
    assert client_id(Settings(mqtt=MqttSettings(client_id="mine"))) == "mine"


@pytest.mark.parametrize(
    ("http", "warns"),
    [
        (HttpSettings(port=0), False),
        (HttpSettings(host="127.0.0.2", port=0), True),
        (HttpSettings(host="127.0.0.2", port=0, token=SecretStr("sixteen-letters.")), False),
    ],
)
def test_warns_of_exposed_http(
    toy_bundle: Path,
    mosquitto: Mosquitto,
    caplog: pytest.LogCaptureFixture,
    http: HttpSettings,
    *,
    warns: bool,
) -> None:
    """HTTP without a token on an address that isn't loopback's usual one causes a warning."""
    store = StoreSettings(path=mosquitto.folder / "state.db")
    daemon = builder.build_daemon(
        Settings(bundle=toy_bundle, mqtt=MqttSettings(port=mosquitto.port), http=http, store=store)
    )
    daemon.start()
    daemon.stop()
    assert ("expected http.token" in caplog.text) == warns
