import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.cli.main import main
from tests.conftest import Mosquitto, free_port


def truncate_file(file: Path) -> None:
    """Cut off the second half of a file."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def flip_bit(file: Path) -> None:
    """Flip a bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def read_error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the text on stderr, which must be one line and no traceback."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize("damage", [Path.unlink, truncate_file, flip_bit])
@pytest.mark.parametrize(
    "name", ["manifest.json", "model.onnx", "scaler.json", "golden.json", "SHA256SUMS", "report/report.html"]
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_damaged_bundle(
    tmp_path: Path,
    toy_bundle: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    name: str,
    damage: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bundle with a missing or damaged file is refused with the file's name."""
    bundle = tmp_path / "bundle"
    shutil.copytree(toy_bundle, bundle)
    damage(bundle / name)
    monkeypatch.setenv("MONITOR_HTTP__PORT", "0")  # the default port may be in use on this machine
    if name.startswith("report/") and damage is Path.unlink:
        assert main(["check", "--bundle", str(bundle)]) == 0  # the report may be missing
        return
    assert main([command, "--bundle", str(bundle)]) == 2
    text = read_error_line(capsys)
    assert str(bundle) in text
    assert name in text or name == "SHA256SUMS"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("[mqtt]\nprot = 1", "mqtt.prot is an unknown setting; did you mean 'port'?"),
        ("[mqtt]\nqos = 7", "mqtt.qos must be 0, 1 or 2, not 7"),
        ('[mqtt]\nport = "1883"', "mqtt.port must be a valid integer, not '1883'"),
        ("[windows]\nmax_gap = -1", "windows.max_gap must be greater than 0, not -1"),
        ("[mqtt", "is not TOML"),
        ('[input]\ntopics = ["sensor-monitor/{a}/{b}"]', "the monitor would read its own output"),
        ('[input]\ntopics = ["a/{b}/c", "d/{e}/f"]', "yield the same group"),
        ('[input.fields]\npressure = "p"', "'pressure' is no feature of the bundle"),
        ('[mqtt]\nusername = "u"\npassword_file = "nowhere"', "mqtt.password_file: nowhere can't be read"),
        ('[mqtt.tls]\nca_file = "nowhere"', "mqtt.tls.ca_file: nowhere can't be read: No such file"),
        ('[mqtt.tls]\nca_file = "/etc/passwd"', "mqtt.tls: a certificate or key can't be used"),
        ('[mqtt.tls]\nkeyfile = "k"', "mqtt.tls: a keyfile needs a certfile"),
        ('[mqtt]\nhost = "mqtt://broker"', "mqtt.host must be a host name or an address"),
        ('[mqtt]\nclient_id = "a\\u0000b"', "mqtt.client_id must not hold control characters"),
        ('[mqtt]\nbase_topic = "a\\nb"', "mqtt.base_topic must be a topic without"),
        ('[input]\ntopics = ["$share/g/plant/{a}"]', "must not be a shared subscription"),
        ("[windows]\nmax_gap = 1", "no window would ever fill"),
        (
            "[windows]\nstale_after = 14.9",
            "windows.stale_after is 14.9 s and windows.max_gap 15 s, 3 sample periods of the bundle (5 s): ",
        ),
        ("[windows]\nmax_gap = 100\nstale_after = 60", "windows.max_gap 100 s: silence would restart"),
        (
            '[mqtt]\nusername = "u"\npassword_file = "/dev/null"',
            "/dev/null is no regular file",
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_bad_settings(
    tmp_path: Path,
    toy_bundle: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    settings: str,
    expected: str,
) -> None:
    """Invalid settings end both commands with exit code 2; the message has problem and expected value."""
    config = tmp_path / "monitor.toml"
    config.write_text(settings)
    assert main([command, "--config", str(config), "--bundle", str(toy_bundle)]) == 2
    assert expected in read_error_line(capsys)


def test_output_overwrites_no_input(
    tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`backtest` never overwrites its recording, nor writes two outputs into one file."""
    recording = tmp_path / "r.csv"
    recording.write_text("ts,group,temperature_1,humidity_1,temperature_2,humidity_2\n1,a/b,1,2,3,4\n")
    before = recording.read_bytes()
    common = ["backtest", "--bundle", str(toy_bundle), "--recording", str(recording), "--out"]
    assert main([*common, str(recording)]) == 2
    assert "is the same file as --recording" in read_error_line(capsys)
    out = str(tmp_path / "o")
    assert main([*common, out, "--alerts-out", out]) == 2
    assert "is the same file as --out" in read_error_line(capsys)
    assert recording.read_bytes() == before


def test_output_to_a_device(tmp_path: Path, toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An output that is not a regular file, such as a pipe, is written to and not replaced."""
    recording = tmp_path / "r.csv"
    recording.write_text(
        "ts,group,temperature_1,humidity_1,temperature_2,humidity_2\n1,a/b,1,x,3,4\n2,a/b,1,2,3,4\n"
    )
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: lines.extend(pipe.read_text().splitlines()))
    lines: list[str] = []
    reader.start()
    command = ["backtest", "--bundle", str(toy_bundle), "--recording", str(recording), "--out", str(pipe)]
    assert main(command) == 0
    reader.join()
    assert pipe.is_fifo()
    assert lines[1:] == ["1,a/b,malformed,,,,,", "2,a/b,filling,,,,,"]
    assert "first: row 1: humidity_1 is 'x'" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "check", "replay x.csv", "backtest --recording x --out y"])
def test_missing_config(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """A missing settings file is reported with its name."""
    assert main([*command.split(), "--config", "nowhere.toml"]) == 2
    assert "nowhere.toml: can't be read: No such file" in read_error_line(capsys)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run", "--fly"], ["demo", "--seconds", "-1"]])
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Wrong usage is exit code 2 with one line that mentions --help."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "--help" in read_error_line(capsys)


@pytest.mark.parametrize("seconds", ["abc", "-1", "inf", "nan"])
def test_seconds_must_be_a_number(capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    """A value of --seconds that is not a finite number of at least 0 is rejected with the expected form."""
    with pytest.raises(SystemExit):
        main(["demo", f"--seconds={seconds}"])
    assert f"argument --seconds: expected a number, 0 or more, not {seconds!r};" in read_error_line(capsys)


@pytest.mark.parametrize("command", ["run", "check"])
def test_port_in_use(
    toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A port in use is exit code 1, before the broker is tried: it may become free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = tmp_path / "monitor.toml"
        store = f'[store]\npath = "{tmp_path / "state.db"}"'
        config.write_text(f"[http]\nport = {taken.getsockname()[1]}\n{store}")
        assert main([command, "--config", str(config), "--bundle", str(toy_bundle)]) == 1
    assert "address already in use; expected a free port of this machine" in read_error_line(capsys)


def test_check(
    toy_bundle: Path, mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` prints the verified parts; with --connect also that the broker accepts the client."""
    config = tmp_path / "monitor.toml"
    store = f'[store]\npath = "{tmp_path / "state.db"}"'
    config.write_text(f'bundle = "{toy_bundle}"\n[mqtt]\nport = {mosquitto.port}\n[http]\nport = 0\n{store}')
    assert main(["check", "--config", str(config), "--connect"]) == 0
    output = capsys.readouterr().out
    assert "windows of 3 readings" in output
    assert "temperature_1: -100 to 1400 degC" in output
    assert f"broker 127.0.0.1:{mosquitto.port}: ok" in output
    assert "no reading came within 6 s, so whether it would be usable isn't known" in output


def test_check_without_broker(toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check --connect` without a broker is exit code 1 with the reason."""
    port = free_port()
    config = tmp_path / "monitor.toml"
    config.write_text(f'bundle = "{toy_bundle}"\n[mqtt]\nport = {port}\n[http]\nport = 0')
    assert main(["check", "--config", str(config), "--connect"]) == 1
    assert f"no connection to 127.0.0.1:{port}" in read_error_line(capsys)
