"""A reload while the pipeline is blocked."""

import threading
from pathlib import Path

import pytest

from monitor import bundle
from monitor.bundle.manifest import Manifest
from monitor.config.settings import AlertSettings, Settings, WindowSettings
from monitor.detect.scoring import Scoring
from monitor.service.process_control import ProcessControl
from monitor.service.reload import Reloader, RunningConfig
from monitor.service.systemd import Systemd
from tests.conftest import TIMEOUT_S, wait_until
from tests.monitor.service.pipeline_fixture import PipelineHarness, message
from tests.support.toy_bundle import FAULTY, HEALTHY, save_toy_bundle

OTHER_ID = "0123456789abcdef"


class FakeConnections:
    """Connections that record their calls."""

    def __init__(self) -> None:
        self.bundle_ids: list[str] = []

    def wake(self) -> None:
        pass

    def reconfigure(self, settings: Settings, manifest: Manifest) -> None:
        assert settings.bundle
        self.bundle_ids.append(manifest.id)


class ReloadHarness:
    """A pipeline that runs only when a test lets it, and a reloader."""

    def __init__(self, folder: Path, timeout_s: float) -> None:
        save_toy_bundle(folder)
        self.harness = PipelineHarness(folder)
        manifest = bundle.load(folder).manifest
        alerts = AlertSettings(clear_after=1)
        self.settings = Settings(bundle=folder, alerts=alerts, windows=WindowSettings(stale_after=60))
        self.running = RunningConfig(self.settings, manifest)
        self.connections = FakeConnections()
        self.reloader = Reloader(
            read_settings=lambda: self.settings,
            running=self.running,
            pipeline=self.harness.pipeline,
            connections=self.connections,  # type: ignore[arg-type]
            metrics=self.harness.metrics,
            process=ProcessControl(Systemd({})),
            timeout_s=timeout_s,
        )
        save_toy_bundle(folder, id=OTHER_ID)
        self.settings = self.settings.model_copy(
            update={
                "alerts": alerts.model_copy(update={"clear_after": 3, "false_alarms": folder / "new.csv"})
            }
        )

    def reloads(self, result: str) -> float | None:
        return self.harness.metric_value("reloads_total", result=result)

    def names_other_bundle(self) -> bool:
        """Return whether any part uses the bundle that the reload loads."""
        labels = {"created": self.running.manifest.created, "steps": str(self.running.manifest.steps)}
        labels["features"] = ",".join(self.running.manifest.feature_names)
        named_by_metrics = self.harness.metric_value("bundle_info", id=OTHER_ID, **labels) == 1
        named_by_config = self.running.manifest.id == OTHER_ID
        assert named_by_metrics == named_by_config == (OTHER_ID in self.connections.bundle_ids)
        return named_by_metrics


def test_held_pipeline(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A reload that the pipeline does not take over in time is an error and never takes effect."""
    world = ReloadHarness(tmp_path / "bundle", timeout_s=0.05)
    harness = world.harness
    before = harness.commands.false_alarms
    error = world.reloader.reload()
    assert error == (
        "the pipeline did not take over within 0.05 s, so the reload is withdrawn: bundle and settings in "
        "use stay as they were; expected a pipeline that is not held up"
    )
    assert f"reload refused, all stays as it was: {error}" in caplog.text
    assert (world.reloads("refused"), world.reloads("done")) == (1, 0)
    harness.run(
        (1, [message(ts, FAULTY) for ts in range(3)]), (2, [message(ts, HEALTHY) for ts in (3, 4, 5)])
    )
    firing, resolved = harness.payloads("alerts/")
    assert resolved["status"] == "resolved", "after one Normal window, as before"
    assert firing["bundle"] == resolved["bundle"] != OTHER_ID
    assert harness.commands.false_alarms is before
    assert not world.names_other_bundle()


def test_pipeline_held_while_it_takes_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the pipeline has begun to apply the replacement, the error says that it will finish, and it does."""
    world = ReloadHarness(tmp_path / "bundle", timeout_s=0.05)
    release, take_over = threading.Event(), Scoring.take_over

    def slow_take_over(self: Scoring, other: Scoring) -> None:
        assert release.wait(TIMEOUT_S)
        take_over(self, other)

    monkeypatch.setattr(Scoring, "take_over", slow_take_over)
    errors: list[str] = []
    reload_thread = threading.Thread(target=lambda: errors.append(world.reloader.reload()))
    reload_thread.start()
    wait_until(lambda: not world.harness.pipeline._replacements.empty(), "it is handed over")  # noqa: SLF001
    pipeline_thread = threading.Thread(
        target=world.harness.run, args=((1, [message(ts, FAULTY) for ts in range(3)]),)
    )
    pipeline_thread.start()
    reload_thread.join(TIMEOUT_S)
    (error,) = errors
    assert "has begun to take over and is not done within 0.1 s: once it is, it judges by the new" in error
    assert f"reload not finished: {error}" in caplog.text
    assert world.reloads("refused") == 1
    release.set()
    pipeline_thread.join(TIMEOUT_S)
    assert world.harness.payloads("alerts/")[0]["bundle"] == OTHER_ID
    assert not world.names_other_bundle()


def test_reload_while_the_pipeline_runs(tmp_path: Path) -> None:
    """After a reload all parts use the new bundle: stages, publisher, files, metrics, connections."""
    world = ReloadHarness(tmp_path / "bundle", timeout_s=TIMEOUT_S)

    def run_pipeline() -> None:
        wait_until(lambda: not world.harness.pipeline._replacements.empty(), "it is handed over")  # noqa: SLF001
        world.harness.run((1, [message(ts, FAULTY) for ts in range(3)]))

    thread = threading.Thread(target=run_pipeline)
    thread.start()
    assert world.reloader.reload() == ""
    thread.join(TIMEOUT_S)
    assert world.harness.payloads("alerts/")[0]["bundle"] == OTHER_ID
    assert world.harness.commands.false_alarms.path == tmp_path / "bundle" / "new.csv"
    assert (world.reloads("refused"), world.reloads("done")) == (0, 1)
    assert world.names_other_bundle()
