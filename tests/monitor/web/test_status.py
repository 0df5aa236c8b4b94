from pathlib import Path

import msgspec
import numpy as np
from prometheus_client import CollectorRegistry

from monitor.config.settings import Settings
from monitor.core.readings import Outcome
from monitor.detect.drift import DriftStage, fit_distribution
from monitor.telemetry.metrics import Metrics
from monitor.web.status import MonitorStatus
from tests.support.toy_bundle import NAMES, toy_manifest


class FakeClock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rates_and_totals(tmp_path: Path) -> None:
    """Rates are those of the last seconds only; totals are those of the metrics."""
    registry, clock = CollectorRegistry(), FakeClock()
    metrics = Metrics(registry, toy_manifest())
    settings = Settings(bundle=tmp_path)
    status = MonitorStatus(registry, lambda: (settings, toy_manifest()), lambda: "no broker", clock)
    first = status.snapshot()
    assert first["readings_rate"] is None
    assert (first["problem"], first["report"]) == ("no broker", False)
    for second in range(1, 20):
        clock.now = second
        metrics.readings_by_outcome[Outcome.JUDGED].inc(1000 if second < 10 else 10)
        metrics.readings_by_outcome[Outcome.LATE].inc(5)
        metrics.predictions_by_label["Faulty"].inc(2)
        snapshot = status.snapshot()
    assert snapshot["readings_rate"] == 15
    assert snapshot["windows_rate"] == 2
    assert snapshot["readings"] == 9 * 1000 + 10 * 10 + 19 * 5
    assert (snapshot["windows"], snapshot["faulty"]) == (38, 38)


def test_drift(tmp_path: Path) -> None:
    """The status has the feature that drifted most and its index; None if the bundle has no distribution."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, toy_manifest())
    status = MonitorStatus(registry, lambda: (Settings(bundle=tmp_path), toy_manifest()), str)
    assert status.snapshot()["drift"] is None
    values = np.linspace(0, 1, 2000)[:, None] * np.ones(len(NAMES))  # (reading, feature)
    stage = DriftStage(NAMES, {name: fit_distribution(values[:, 0]) for name in NAMES})
    metrics.watch_drift(lambda: stage)
    stage.add(values + np.array([0, 0, 0.5, 0.1]))
    index, feature = status.snapshot()["drift"]
    assert feature == NAMES[2]
    assert index == stage.psi()[2] > 1


def test_snapshot_is_json(tmp_path: Path) -> None:
    """A snapshot can be encoded as JSON, has features and units, and no secret of the settings."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").touch()
    registry = CollectorRegistry()
    Metrics(registry, toy_manifest())
    settings = Settings.model_validate(
        {"bundle": tmp_path, "mqtt": {"username": "somebody", "password": "hunter2"}}
    )
    snapshot = MonitorStatus(registry, lambda: (settings, toy_manifest()), str).snapshot()
    text = msgspec.json.encode(snapshot).decode()
    feature = msgspec.json.decode(text)["features"][0]
    assert (feature["name"], feature["unit"]) == ("temperature_1", "degC")
    assert snapshot["report"]
    assert "hunter2" not in text
    assert "somebody" not in text
