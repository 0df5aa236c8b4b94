"""Help, version and shell completion of both programs."""

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
from monitor.cli.parser import COMMANDS
from monitor.cli.parser import build_parser as monitor_parser
from tests.conftest import ROOT, skip_or_fail
from training.cli.parser import build_parser as training_parser

MODULES = {"sensor-monitor": "monitor", "sensor-training": "training"}


def program_parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each program."""
    return {"sensor-monitor": monitor_parser(), "sensor-training": training_parser()}


def command_parsers() -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Yield each program, each of its commands, and the command's parser."""
    for program, program_parser in program_parsers().items():
        (subcommands,) = (action for action in program_parser._actions if isinstance(action.choices, dict))  # noqa: SLF001
        assert isinstance(subcommands.choices, dict)
        for name, parser in subcommands.choices.items():
            yield program, name, parser


def examples(help_: str) -> list[str]:
    """Return the lines of the section `examples:` of a help text."""
    return [line.strip() for line in help_.split("examples:\n")[1].split("\n\n", maxsplit=1)[0].splitlines()]


@pytest.mark.parametrize(
    ("program", "name", "parser"),
    list(command_parsers()),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_help(program: str, name: str, parser: argparse.ArgumentParser) -> None:
    """Each command's help has a description, valid examples, the precedence of settings and exit codes."""
    help_ = parser.format_help()
    assert 1 <= len(examples(help_)) <= 3
    for example in examples(help_):
        arguments = [word for word in shlex.split(example) if not re.match(r"[A-Z_]+=", word)]
        assert arguments[:2] == [program, name]
        program_parsers()[program].parse_args(arguments[1:])
    assert len(help_.split("options:")[0].split(parser.format_usage())[1].split()) > 10
    for code in ("0 done", "1 failed", "2 wrong", "130 interrupted"):
        assert code in help_
    prefix = {"sensor-monitor": "MONITOR_MQTT__HOST", "sensor-training": "TRAINING_BATCH_SIZE"}[program]
    assert (f"({prefix}=" in help_) == ("--config F" in help_)


@pytest.mark.parametrize("program", MODULES)
def test_program_help(program: str) -> None:
    """The examples in a program's help parse, or show the help of a command."""
    program_parser = program_parsers()[program]
    for example in examples(program_parser.format_help()):
        arguments = shlex.split(example)
        assert arguments[0] == program
        if arguments[-1] == "--help":
            with pytest.raises(SystemExit) as exit_info:
                program_parser.parse_args(arguments[1:])
            assert exit_info.value.code == 0
        else:
            program_parser.parse_args(arguments[1:])


def program_output(program: str, *arguments: str) -> str:
    """Return the stdout of a program."""
    command = [sys.executable, "-m", MODULES[program], *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


@pytest.mark.parametrize("program", MODULES)
def test_version(program: str) -> None:
    """Both programs print the package's version."""
    assert program_output(program, "--version") == f"{program} {__version__}\n"


def bash_completions(completion_script: str, line: str, folder: Path) -> set[str]:
    """Return the words that a real bash offers at the end of a command line."""
    words = line.split(" ")
    bash_script = (
        f"{completion_script}\nwhole=$(complete -p {words[0]}); f=${{whole##*-F }}\n"
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; COMPREPLY=()\n"
        '"${f%% *}"; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    bash = shutil.which("bash") or skip_or_fail("bash", "bash is not installed")
    result = subprocess.run(
        [str(bash), "--norc", "-c", bash_script], capture_output=True, text=True, check=True, cwd=folder
    )
    assert not result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sensor-monitor ", {*COMMANDS}),
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
    """A real bash offers commands, flags and choices, and files or folders where an argument takes them."""
    for name in ("monitor.toml", "plant.csv"):
        (tmp_path / name).touch()
    (tmp_path / "bundle").mkdir()
    script = program_output(line.split(maxsplit=1)[0], "--print-completion", "bash")
    offered_words = {word.removesuffix("/") for word in bash_completions(script, line, tmp_path)}
    assert {word.removesuffix("/") for word in expected} <= offered_words
    if expected == {"bundle/"}:
        assert not {"monitor.toml", "plant.csv"} & offered_words


@pytest.mark.parametrize("program", MODULES)
def test_completion_in_zsh(tmp_path: Path, program: str) -> None:
    """A real zsh loads the completion without an error, and registers it for the program."""
    zsh = shutil.which("zsh") or skip_or_fail("zsh", "zsh is not installed")
    (tmp_path / f"_{program}").write_text(program_output(program, "--print-completion", "zsh"))
    zsh_script = (
        f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D; autoload +X -Uz _{program}"
    )
    result = subprocess.run(
        [str(zsh), "-fc", f"{zsh_script}; print $_comps[{program}]"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == f"_{program}"
    assert not result.stderr


def test_completion_is_imported_lazily() -> None:
    """The library that generates completions is imported only when a completion is requested."""
    code = (
        "import sys; from monitor.cli.main import main\n"
        "try: main(['run', '--help'])\n"
        "except SystemExit: sys.exit('shtab' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
