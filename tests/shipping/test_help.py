"""What both commands say of themselves: help with examples that hold, version, completion."""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor import __version__
from monitor.cli.parser import parser as monitor_parser
from tests.conftest import ROOT, require
from training.cli.parser import parser as training_parser

NAMES = ("run", "check", "replay", "record", "backtest", "demo")
MODULES = {"sensor-monitor": "monitor", "sensor-training": "training"}


def wholes() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each program."""
    ours = monitor_parser(dict.fromkeys(NAMES, lambda _: 0))
    return {"sensor-monitor": ours, "sensor-training": training_parser()}


def commands() -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Yield each program, each of its commands, and the command's parser."""
    for program, whole in wholes().items():
        (found,) = (action for action in whole._actions if isinstance(action.choices, dict))  # noqa: SLF001
        assert isinstance(found.choices, dict)
        for name, parser in found.choices.items():
            yield program, name, parser


def examples(help_: str) -> list[str]:
    """Return the lines of the part `examples:`."""
    return [line.strip() for line in help_.split("examples:\n")[1].split("\n\n", maxsplit=1)[0].splitlines()]


@pytest.mark.parametrize(
    ("program", "name", "parser"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_help(program: str, name: str, parser: argparse.ArgumentParser) -> None:
    """Each command's help says what it does, how to call it, what beats what, and how it ends."""
    help_ = parser.format_help()
    assert 1 <= len(examples(help_)) <= 3
    for example in examples(help_):
        words = [word for word in shlex.split(example) if not re.match(r"[A-Z_]+=", word)]
        assert words[:2] == [program, name]
        wholes()[program].parse_args(words[1:])
    assert len(help_.split("options:")[0].split(parser.format_usage())[1].split()) > 10
    for code in ("0 done", "1 failed", "2 wrong", "130 interrupted"):
        assert code in help_
    prefix = {"sensor-monitor": "MONITOR_MQTT__HOST", "sensor-training": "TRAINING_BATCH_SIZE"}[program]
    assert (f"({prefix}=" in help_) == ("--config F" in help_)


@pytest.mark.parametrize("program", MODULES)
def test_help_of_the_whole(program: str) -> None:
    """The help of a program has examples that parse, or ask for the help of a command."""
    whole = wholes()[program]
    for example in examples(whole.format_help()):
        words = shlex.split(example)
        assert words[0] == program
        if words[-1] == "--help":
            with pytest.raises(SystemExit) as left:
                whole.parse_args(words[1:])
            assert left.value.code == 0
        else:
            whole.parse_args(words[1:])


def said(program: str, *words: str) -> str:
    """Return what a program prints."""
    command = [sys.executable, "-m", MODULES[program], *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


@pytest.mark.parametrize("program", MODULES)
def test_version(program: str) -> None:
    """Both programs say their version, which is one."""
    assert said(program, "--version") == f"{program} {__version__}\n"


def offered(script: str, line: str, folder: Path) -> set[str]:
    """Return what a real bash offers at the end of a line that begins with a program's name."""
    words = line.split(" ")
    ask = (
        f"{script}\nwhole=$(complete -p {words[0]}); f=${{whole##*-F }}\n"
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; COMPREPLY=()\n"
        '"${f%% *}"; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    bash = shutil.which("bash") or require("bash", "bash is not installed")
    done = subprocess.run(
        [str(bash), "--norc", "-c", ask], capture_output=True, text=True, check=True, cwd=folder
    )
    assert not done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sensor-monitor ", {*NAMES}),
        ("sensor-monitor ba", {"backtest"}),
        ("sensor-monitor check --co", {"--config", "--connect"}),
        ("sensor-monitor run --config mon", {"monitor.toml"}),
        ("sensor-monitor run --bundle ", {"bundle/"}),
        ("sensor-monitor replay pl", {"plant.csv"}),
        ("sensor-monitor --print-completion ", {"bash", "zsh"}),
        ("sensor-training e", {"evaluate", "explain"}),
        ("sensor-training fit --recording pl", {"plant.csv"}),
        ("sensor-training tune --study ", {"search", "initializers"}),
        ("sensor-training import lwsndr pl", {"plant.csv"}),
    ],
)
def test_completion_in_bash(tmp_path: Path, line: str, expected: set[str]) -> None:
    """A real bash offers commands, flags, choices, files where a file is meant, folders where one is."""
    for name in ("monitor.toml", "plant.csv"):
        (tmp_path / name).touch()
    (tmp_path / "bundle").mkdir()
    script = said(line.split(maxsplit=1)[0], "--print-completion", "bash")
    found = {word.removesuffix("/") for word in offered(script, line, tmp_path)}
    assert {word.removesuffix("/") for word in expected} <= found
    if expected == {"bundle/"}:
        assert not {"monitor.toml", "plant.csv"} & found


@pytest.mark.parametrize("program", MODULES)
def test_completion_in_zsh(tmp_path: Path, program: str) -> None:
    """A real zsh takes its completion without complaint, for the program."""
    zsh = shutil.which("zsh") or require("zsh", "zsh is not installed")
    (tmp_path / f"_{program}").write_text(said(program, "--print-completion", "zsh"))
    ask = f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D; autoload +X -Uz _{program}"
    done = subprocess.run(
        [str(zsh), "-fc", f"{ask}; print $_comps[{program}]"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"_{program}"
    assert not done.stderr


def test_completion_costs_nobody_else() -> None:
    """What makes the completion isn't imported by who doesn't ask for it."""
    code = (
        "import sys; from monitor.cli.main import main\n"
        "try: main(['run', '--help'])\n"
        "except SystemExit: sys.exit('shtab' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
