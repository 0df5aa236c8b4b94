import hashlib
import logging
import shutil
from pathlib import Path

import pytest

from monitor import bundle
from monitor.bundle import default_bundle
from monitor.bundle.files import REQUIRED_FILES, SUMS_FILE
from monitor.cli.main import main
from monitor.cli.startup_checks import check_files
from monitor.config.loading import load_settings
from monitor.config.settings import Settings
from monitor.service.builder import build_daemon
from tests.conftest import ROOT, free_port
from tests.support.toy_bundle import NAMES


@pytest.fixture
def default_folder(toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a toy bundle in place of the default bundle; the test runs in an empty folder."""
    target = tmp_path / "site-packages" / "default_bundle"
    shutil.copytree(toy_bundle, target)
    monkeypatch.setattr(default_bundle, "DEFAULT_BUNDLE_FOLDER", target)
    (tmp_path / "plant").mkdir()
    monkeypatch.chdir(tmp_path / "plant")
    monkeypatch.setenv("MONITOR_HTTP__PORT", "0")  # the default port may be in use on this machine
    return target


def test_default_bundle_is_used(default_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the settings name no bundle and var/bundle is missing, the default bundle is used and named."""
    assert main(["check"]) == 0
    output = capsys.readouterr().out
    assert f"bundle {default_folder}: ok" in output
    assert "THIS IS THE DEFAULT BUNDLE" in output
    assert main(["check", "--config", str(ROOT / "config" / "monitor.toml")]) == 0
    assert f"bundle {default_folder}: ok" in capsys.readouterr().out


def test_plant_bundle_has_precedence(
    default_folder: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If var/bundle exists it is used, unless the setting or the flag "" asks for the default bundle."""
    shutil.copytree(toy_bundle, "var/bundle")
    assert main(["check"]) == 0
    output = capsys.readouterr().out
    assert "bundle var/bundle: ok" in output
    assert "DEFAULT BUNDLE" not in output
    Path("monitor.toml").write_text('bundle = ""\n')
    assert f"bundle {default_folder}: ok" in check_files(load_settings(Path("monitor.toml")))
    capsys.readouterr()
    assert main(["check", "--bundle", ""]) == 0
    assert f"bundle {default_folder}: ok" in capsys.readouterr().out


@pytest.mark.usefixtures("default_folder")
def test_configured_folder_must_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing folder that a flag or the settings name is an error."""
    Path("monitor.toml").write_text('bundle = "bundel"\n')
    assert main(["check", "--config", "monitor.toml"]) == 2
    assert "bundle bundel: there is no such folder" in capsys.readouterr().err
    assert main(["check", "--bundle", "var/bundle"]) == 2
    assert "var/bundle: there is no such folder" in capsys.readouterr().err


def test_daemon_logs_default_bundle(
    default_folder: Path, toy_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A daemon logs that it uses the default bundle, and a reload switches to a new var/bundle."""
    flags = {"http": {"port": 0}, "mqtt": {"port": free_port()}, "store": {"path": tmp_path / "state.db"}}
    settings = Settings.model_validate(flags)
    caplog.set_level(logging.INFO)
    daemon = build_daemon(settings)
    daemon.start()
    try:
        assert f"from {default_folder} judges" in caplog.text
        assert "THIS IS THE DEFAULT BUNDLE" in caplog.text
        shutil.copytree(toy_bundle, "var/bundle")
        assert daemon.reload() == ""
        assert "reloaded: bundle" in caplog.text
        assert caplog.text.rstrip().endswith("from var/bundle")
    finally:
        daemon.stop()


def test_backtest_uses_default_bundle(default_folder: Path) -> None:
    """`backtest` without a bundle judges with the default bundle."""
    rows = [f"{1000 + 5 * number},g,20,50,20,50" for number in range(5)]
    Path("plant.csv").write_text("\n".join([f"ts,group,{','.join(NAMES)}", *rows]) + "\n")
    assert main(["backtest", "--recording", "plant.csv", "--out", "scores.csv"]) == 0
    assert Path("scores.csv").read_text().count("judged") == 3
    assert default_folder.exists()


def test_shipped_bundle_is_small_and_valid() -> None:
    """The bundle in the package loads, has no report and no Keras file, and is smaller than 1 MB."""
    folder = ROOT / "monitor" / "bundle" / "default"
    assert folder == default_bundle.DEFAULT_BUNDLE_FOLDER
    assert bundle.load(folder).manifest.feature_names == NAMES
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files) == {*REQUIRED_FILES, SUMS_FILE}
    assert sum(map(len, files.values())) < 1e6
    sums = files[SUMS_FILE].decode()
    assert all(hashlib.sha256(files[name]).hexdigest() in sums for name in REQUIRED_FILES)
