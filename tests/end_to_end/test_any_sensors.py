"""End to end: plants of any sensors on the bundle that comes with the monitor, without training."""

import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.core.arrays import FloatArray
from tests.conftest import Mosquitto, wait_until
from tests.support.processes import Monitor, connect_client, run_monitor

START_TS = 1_700_000_000
TOPIC = "plant/line1/pump1/reading"
READINGS = 130

Feature = tuple[str, str, float]
"""Name, unit, and standard deviation of the noise, of a value around 10."""


def _write_features(features: Sequence[Feature], more: str = "") -> str:
    return "".join(f'[[features]]\nname = "{name}"\nunit = "{unit}"\n{more}' for name, unit, _ in features)


def _draw(features: Sequence[Feature]) -> FloatArray:
    """Return healthy readings: values that move together, each with its own noise (reading, feature)."""
    rng = np.random.default_rng(0)
    course = 10 + np.sin(np.arange(READINGS) / 40)[:, None]
    return np.round(course + rng.normal(0, [noise for _, _, noise in features], (READINGS, len(features))), 3)


@pytest.mark.parametrize(
    ("features", "column", "expected"),
    [
        (
            [("vibration_de", "mm/s", 0.05), ("vibration_nde", "mm/s", 0.05), ("pressure_1", "bar", 0.01)],
            0,
            "vibration_de reads",
        ),
        ([(f"temperature_{number}", "degC", 0.03) for number in (1, 2, 3)], 1, "temperature_2 reads"),
        ([("temperature_1", "degC", 0.03), ("pressure_1", "bar", 0.01)], 1, "pressure_1 reads 17.9 bar"),
    ],
    ids=["pair and a lone one", "three", "two lone ones"],
)
def test_any_sensors(
    tmp_path: Path, mosquitto: Mosquitto, features: list[Feature], column: int, expected: str
) -> None:
    """The plant is judged; a sensor that jumps is named in the alert."""
    names = [name for name, _, _ in features]
    values = _draw(features)
    values[-2, column] += 8.0
    monitor = Monitor(tmp_path, DEFAULT_BUNDLE_FOLDER, mosquitto.port, _write_features(features))
    with connect_client(mosquitto.port, "sensor-monitor/#") as client, run_monitor(monitor):
        rows = [
            {"ts": START_TS + 5 * number, **dict(zip(names, row, strict=True))}
            for number, row in enumerate(values.tolist())
        ]
        client.publish(TOPIC, rows[:-2])
        wait_until(lambda: monitor.outcomes().get("judged") == READINGS - 11, "the healthy ones are judged")
        assert not client.payloads("sensor-monitor/alerts/")
        client.publish(TOPIC, rows[-2:])
        wait_until(lambda: client.payloads("sensor-monitor/alerts/"), "it fires")
        (event,) = client.payloads("sensor-monitor/alerts/")
        assert event["reason"].startswith(expected)
        assert list(event["contributions"]) == names


def test_reload_of_features(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A reload takes another accuracy; other features are refused."""
    pair = [("current_1", "A", 0.1), ("current_2", "A", 0.1)]
    monitor = Monitor(tmp_path, DEFAULT_BUNDLE_FOLDER, mosquitto.port, _write_features(pair))
    with run_monitor(monitor):
        assert monitor.process is not None
        monitor.configure(_write_features(pair, "accuracy = 2.0\n"))
        monitor.process.send_signal(signal.SIGHUP)
        monitor.wait_for_log("reloaded: bundle")
        monitor.configure(_write_features([("current_1", "A", 0.1), ("current_3", "A", 0.1)]))
        monitor.process.send_signal(signal.SIGHUP)
        monitor.wait_for_log("its features are current_1, current_3;")
        monitor.configure(
            _write_features(pair).replace(
                '"current_2"\n', '"current_2"\nquantity = "load"\nlow = 0.0\nhigh = 9.0\naccuracy = 1.0\n'
            )
        )
        monitor.process.send_signal(signal.SIGHUP)
        monitor.wait_for_log("its quantities are current, load;")
