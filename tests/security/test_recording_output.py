"""Names from outside that tell a terminal to do something, in what commands print."""

import json
import tomllib
from pathlib import Path

import pytest

from monitor.cli.discover.toml_text import to_toml
from monitor.cli.main import main
from monitor.recordings.csv_text import to_csv
from tests.conftest import Mosquitto
from tests.support.processes import connect_client
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202e"
FORGED = "x\nalerts 0: all is well\r"


def _assert_harmless(text: str) -> None:
    """Assert that a terminal shows the text, and that nothing in it began a line."""
    assert text
    for line in text.split("\n"):
        assert line.isprintable(), line
        assert not line.startswith("alerts 0")


@pytest.mark.parametrize("name", [ESCAPES, FORGED])
def test_backtest(toy_bundle: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`backtest` shows groups, columns and cells of a recording with escapes."""
    rows: list[list[object]] = [[5.0 * number, name, *HEALTHY, 1.0] for number in range(9)]
    rows += [[5.0 * number, name, *FAULTY, 1.0] for number in range(9, 12)]
    rows += [[5.0 * number, name, *HEALTHY, 1.0] for number in range(12, 20)]
    rows += [[name, name, *HEALTHY, 1.0]]
    (tmp_path / "recording.csv").write_text(to_csv([["ts", "group", *NAMES, name], *rows]), newline="")
    flags = ["--bundle", toy_bundle, "--recording", tmp_path / "recording.csv", "--out", tmp_path / "s.csv"]
    assert main(["backtest", *map(str, flags), "--propose", "raise_after=3"]) == 0
    printed = capsys.readouterr().out
    _assert_harmless(printed)
    assert "not used" in printed
    assert "malformed" in printed


@pytest.mark.parametrize("name", [ESCAPES, FORGED])
def test_errors(toy_bundle: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An error that quotes a file's content is one line."""
    file = tmp_path / "recording.csv"
    file.write_text(to_csv([[name, "ts"], ["1", "2"]]), newline="")
    flags = ["--bundle", str(toy_bundle), "--recording", str(file), "--out", str(tmp_path / "s.csv")]
    assert main(["backtest", *flags]) == 2
    file.write_text(to_csv([["ts", "group", *NAMES], [1, name, *HEALTHY]]), newline="")
    assert main(["replay", str(file), "--config", str(_settings(tmp_path, 1))]) in (1, 2)
    _assert_harmless(capsys.readouterr().err)


def _settings(folder: Path, port: int, bundle: Path | None = None) -> Path:
    file = folder / "monitor.toml"
    text = f'bundle = "{bundle}"\n' if bundle else ""
    file.write_text(f'{text}[mqtt]\nport = {port}\n[input]\ntopics = ["plant/{{group}}"]\n')
    return file


@pytest.mark.parametrize("name", [ESCAPES, FORGED])
def test_messages(
    mosquitto: Mosquitto, toy_bundle: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`discover` and `check` show topics and fields with escapes, and the TOML can be read."""
    settings = str(_settings(tmp_path, mosquitto.port, toy_bundle))
    values = dict(zip(NAMES, HEALTHY, strict=True))
    with connect_client(mosquitto.port) as client:
        # mosquitto refuses control characters in topics, but no other character.
        client.publish("plant/\u202egnp", {"ts": 1.0e9, name: 1, **values}, retain=True)
        client.publish("plant/\u202egnp/deep", {name: {name: name}}, retain=True)
    assert main(["discover", "--config", settings, "--seconds", "0.5"]) == 0
    text = capsys.readouterr().out
    _assert_harmless(text)
    tomllib.loads(text)
    sample = tmp_path / "sample.json"
    sample.write_text(json.dumps({"ts": 1.0e9, **values}))
    assert main(["check", "--config", settings, "--sample", str(sample), "--topic", f"plant/{name}"]) == 0
    _assert_harmless(capsys.readouterr().out)


def test_toml() -> None:
    """Any text as TOML is one line without controls, and means the same."""
    text = f"{ESCAPES}{FORGED}\"'\\\x7f\u2028\U000e0041é"
    assert to_toml(text).isprintable()
    assert tomllib.loads(f"a = {to_toml(text)}\n{to_toml({text: 1})[1:-1]}") == {"a": text, text: 1}
