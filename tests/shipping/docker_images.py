"""Dockerfiles without Docker: what they say, and their commands run in folders of a test."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT, require


@dataclass(frozen=True)
class Stage:
    """One stage of a Dockerfile: its base, and each instruction's arguments in their order."""

    base: str
    instructions: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """Return the arguments of all instructions of this name."""
        return [arguments for found, arguments in self.instructions if found == name]

    def one(self, name: str) -> str:
        """Return the arguments of the only instruction of this name."""
        (arguments,) = self.all(name)
        return arguments

    def command(self, name: str) -> list[str]:
        """Return an instruction's command, which is written as JSON, so that no shell stands between."""
        words: list[str] = json.loads(re.sub(r"^.*?(?=\[)", "", self.one(name)))
        return words

    def pairs(self, name: str) -> dict[str, str]:
        """Return what LABEL or ENV set."""
        words = [word for arguments in self.all(name) for word in shlex.split(arguments)]
        return dict(word.split("=", 1) for word in words)


def stages(file: Path) -> list[Stage]:
    """Return a Dockerfile's stages."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, arguments = line.split(maxsplit=1)
            if name == "FROM":
                found.append(Stage(arguments.split()[0], []))
            else:
                found[-1].instructions.append((name, arguments))
    return found


def context(folder: Path) -> None:
    """Copy into a folder what a build sees of the repository: all that .dockerignore doesn't keep out."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("#", "")]
    assert rules[0] == "*"
    for path in ROOT.iterdir():
        if f"!{path.name}" in rules:
            ignored = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
            if path.is_dir():
                shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns(*ignored))
            elif not any(fnmatch.fnmatch(path.name, rule) for rule in ignored):
                shutil.copy2(path, folder)


class Image:
    """What a Dockerfile of two stages makes, below a folder instead of /."""

    def __init__(self, file: Path, root: Path) -> None:
        self.build, self.final = stages(file)
        self.root = root

    def here(self, text: str) -> str:
        """Return a command with the image's folders below ours."""
        return re.sub(r"(?<![\w./])/(opt|var|src|data)\b", rf"{self.root}/\1", text)

    def make(self) -> None:
        """Run what the Dockerfile runs, as the user who runs the test."""
        everything = self.root / "context"
        everything.mkdir(parents=True)
        context(everything)
        source = self.root / "src"
        source.mkdir()
        (self.root / "opt").mkdir()
        for arguments in self.build.all("COPY"):
            *what, to = arguments.split()
            for name in what:
                if (everything / name).is_dir():
                    shutil.copytree(everything / name, source / to)
                else:
                    shutil.copy2(everything / name, source / to)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        for stage in (self.build, self.final):
            for command in stage.all("RUN"):
                mine = re.sub(r"\b10001:10001\b", f"{os.getuid()}:{os.getgid()}", self.here(command))
                done = subprocess.run(
                    ["sh", "-c", mine], cwd=source, env={**os.environ, "PATH": path}, capture_output=True,
                    text=True, check=False,
                )  # fmt: skip
                if done.returncode and "pip install" in command:
                    require("packages", f"can't install packages: {done.stderr[-300:]}")
                assert done.returncode == 0, done.stderr

    def environment(self) -> dict[str, str]:
        """Return the variables that a container begins with."""
        given = {name: self.here(value) for name, value in self.final.pairs("ENV").items()}
        given["PATH"] = given["PATH"].replace("$PATH", "/usr/bin:/bin")
        return given


def locked(command: Sequence[str | Path], *writable: Path) -> tuple[str, ...]:
    """Return the command for a process to whom all the files are read-only but for these folders."""
    # The working folder is entered anew: it was that of the file system before.
    free = "".join(f"mount --bind {shlex.quote(str(path))} {shlex.quote(str(path))} && " for path in writable)
    script = f'{free}mount -o remount,ro,bind / && cd "$PWD" && exec "$@"'
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if os.getuid():
        unshare.append("--map-root-user")
    return (*unshare, "sh", "-c", script, "sh", *map(str, command))
