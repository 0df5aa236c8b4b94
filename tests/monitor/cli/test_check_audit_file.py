"""`check` and `operators.audit_file`."""

from pathlib import Path

import pytest

from monitor.cli.main import main


def _check(folder: Path, bundle: Path, audit_file: Path) -> int:
    config = folder / "monitor.toml"
    config.write_text(
        f'bundle = "{bundle}"\n[store]\npath = "{folder / "s.db"}"\n[http]\nport = 0\n'
        f'[operators]\naudit_file = "{audit_file}"\n'
    )
    return main(["check", "--config", str(config)])


@pytest.mark.parametrize(
    "name", ["/proc/audit", "/proc/more/audit", "folder", "file/audit", "x" * 300, "link"]
)
def test_unusable(tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A file that `run` could not open is refused, and nothing is left behind."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    before = {*tmp_path.iterdir(), tmp_path / "monitor.toml"}
    assert _check(tmp_path, toy_bundle, tmp_path / name) == 2
    assert f"operators.audit_file: {tmp_path / name}: " in capsys.readouterr().err
    assert set(tmp_path.iterdir()) == before


def test_usable(tmp_path: Path, toy_bundle: Path) -> None:
    """One that can be made isn't made, nor its folder; one that is there stays as it is."""
    assert _check(tmp_path, toy_bundle, tmp_path / "audit" / "log") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["monitor.toml"]
    (tmp_path / "log").write_text("cut of")
    assert _check(tmp_path, toy_bundle, tmp_path / "log") == 0
    assert (tmp_path / "log").read_text() == "cut of"
