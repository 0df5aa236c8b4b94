import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.training_features import FEATURE_NAMES
from training.cli.main import main
from training.data import recordings


def test_simulate_and_inject_make_a_labelled_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`inject` reads what `simulate` wrote, CSV or Parquet, and both say what they wrote."""
    healthy, faulty = tmp_path / "healthy.parquet", tmp_path / "new" / "faulty.csv"
    main(["simulate", "--out", str(healthy), "--groups", "1", "--hours", "0.5"])
    main(["inject", str(healthy), "--out", str(faulty), "--rate", "0.2", "--kinds", "loss", "stuck"])
    frame = recordings.read(faulty, FEATURE_NAMES)
    assert set(frame["kind"]) == {"", "loss", "stuck"}
    assert f"{faulty}: 360 readings" in capsys.readouterr().out


def test_inject_keeps_its_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`inject` refuses to overwrite the healthy recording."""
    healthy = tmp_path / "healthy.csv"
    main(["simulate", "--out", str(healthy), "--groups", "1", "--hours", "0.5"])
    before = healthy.read_bytes()
    with pytest.raises(SystemExit) as exit_info:
        main(["inject", str(healthy), "--out", str(healthy)])
    assert exit_info.value.code == 2
    assert "is the recording itself" in capsys.readouterr().err
    assert healthy.read_bytes() == before


def test_import_makes_a_recording(tmp_path: Path) -> None:
    """`import` writes a recording with the given group and start."""
    mote = tmp_path / "mote.txt"
    mote.write_text("header\n1 7 40 20 0\n2 7 41 21 0\n")
    out = tmp_path / "recording.csv"
    flags = ["--group", "a/b", "--start", "1970-01-01T00:01:00"]
    main(["import", "lwsndr", str(mote), str(mote), "--out", str(out), *flags])
    frame = recordings.read(out, FEATURE_NAMES)
    assert frame["ts"].tolist() == [60, 65]
    assert set(frame["group"]) == {"a/b"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["train"], "invalid choice: 'train'"),
        (["simulate"], "--out"),
        (["simulate", "--out", "x.csv", "--hours", "0"], "--hours: must be a number above 0, not '0'"),
        (["simulate", "--out", "x.csv", "--groups", "-1"], "--groups: must be a whole number from 1"),
        (["simulate", "--out", "x.csv", "--start", "noon"], "--start: must be an ISO 8601 time, not 'noon'"),
        (["simulate", "--out", "x.txt", "--hours", "0.1"], "x.txt: a recording's name must end in .csv"),
        (["inject", "none.csv", "--out", "x.csv"], "none.csv: can't be read: No such file"),
        (["inject", "none.csv", "--out", "x.csv", "--rate", "1"], "must be at least 0 and below 1, not '1'"),
        (["inject", "none.csv", "--out", "x.csv", "--kinds", "rust"], "invalid choice: 'rust'"),
        (["import", "lwsndr", "a.txt", "b.txt", "--out", "x.csv"], "a.txt: can't be read: No such file"),
        (["fit", "--recording", "none.csv"], "--bundle"),
        (["fit", "--bundle", "b"], "nothing to train on; expected --recording, --windows or --healthy"),
        (["fit", "--windows", "none.csv", "--bundle", "b"], "none.csv: can't be read: No such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Wrong usage or input exits with 2 and one line on stderr: what, where and what was expected."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sensor-training")
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_one_line_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure while running is one line on stderr, without a traceback, and exits with 1."""
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as exit_info:
        main(["simulate", "--out", str(tmp_path / "file" / "x.csv"), "--hours", "0.1"])
    assert exit_info.value.code == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_only_what_trains_imports_tensorflow() -> None:
    """Building the parser of all commands imports none of the slow libraries."""
    code = (
        "import sys; from training.cli.parser import build_parser; build_parser()\n"
        "print(*{'tensorflow', 'keras', 'matplotlib', 'optuna', 'sklearn'} & set(sys.modules))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert completed.stdout.strip() == ""


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Each of the eight commands has help."""
    for command in ("import", "simulate", "inject", "fit", "tune", "evaluate", "explain", "inspect"):
        with pytest.raises(SystemExit) as exit_info:
            main([command, "--help"])
        assert exit_info.value.code == 0
        assert f"sensor-training {command}" in capsys.readouterr().out


def test_wrong_data_are_refused_without_tensorflow(tmp_path: Path) -> None:
    """A mistyped file name is refused without the seconds that importing TensorFlow takes."""
    code = (
        "import sys; from training.cli.main import main\n"
        "try: main(['fit', '--recording', 'none.csv', '--bundle', 'b'])\n"
        "except SystemExit as left: print(left.code, 'tensorflow' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    completed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path, env=env
    )
    assert completed.stdout.split() == ["2", "False"]


def test_a_closed_stdout_is_no_failure(tmp_path: Path) -> None:
    """A reader that closes the pipe early, such as `head`, is no failure."""
    arguments = ["simulate", "--out", tmp_path / "r.csv", "--groups", "1", "--hours", "0.1"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed_pipe:
        completed = subprocess.run(
            [sys.executable, "-m", "training", *arguments],
            stdout=closed_pipe,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (completed.returncode, completed.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("command", "flag"), [("simulate", "--out"), ("inject", "--out"), ("fit", "--bundle"), ("tune", "--out")]
)
def test_neighbours_in_two_units_are_refused(
    command: str, flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """DegC beside degF is exit code 2 with one line, for every command that takes features."""
    config = tmp_path / "mixed.toml"
    config.write_text(
        '[[features]]\nname = "temperature_1"\nunit = "degC"\n'
        '[[features]]\nname = "temperature_2"\nunit = "degF"\n'
    )
    source = {"inject": ["r.csv"], "fit": ["--recording", "r.csv"], "tune": ["--recording", "r.csv"]}
    words = [command, *source.get(command, []), flag, str(tmp_path / "out.csv"), "--config", str(config)]
    with pytest.raises(SystemExit) as exit_info:
        main(words)
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "temperature_1 is in 'degC' and temperature_2 in 'degF'; expected one unit for all" in line


def test_a_recording_of_other_features_needs_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its features, the error names the column that is missing, and the flag that helps."""
    path = tmp_path / "pump.csv"
    path.write_text("ts,group,vibration_1\n5,a,2\n")
    with pytest.raises(SystemExit) as exit_info:
        main(["inject", str(path), "--out", str(tmp_path / "o.csv")])
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert "has no column 'temperature_1'" in error
    assert "needs --config with their [[features]]" in error
