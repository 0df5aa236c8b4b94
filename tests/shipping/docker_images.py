"""Dockerfiles without Docker: parse their instructions, and run their commands in the folders of a test."""

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

from tests.conftest import ROOT, skip_or_fail


@dataclass(frozen=True)
class BuildStage:
    """One stage of a Dockerfile: its base image, and its instructions (name, arguments) in order."""

    base: str
    instructions: list[tuple[str, str]]

    def all_arguments(self, name: str) -> list[str]:
        """Return the arguments of all instructions of this name."""
        return [arguments for instruction, arguments in self.instructions if instruction == name]

    def only_arguments(self, name: str) -> str:
        """Return the arguments of the only instruction of this name."""
        (arguments,) = self.all_arguments(name)
        return arguments

    def exec_command(self, name: str) -> list[str]:
        """Return the command of an instruction in exec form: a JSON array, which needs no shell."""
        words: list[str] = json.loads(re.sub(r"^.*?(?=\[)", "", self.only_arguments(name)))
        return words

    def variables(self, name: str) -> dict[str, str]:
        """Return the names and values that the LABEL or ENV instructions set."""
        words = [word for arguments in self.all_arguments(name) for word in shlex.split(arguments)]
        return dict(word.split("=", 1) for word in words)


def parse_stages(file: Path) -> list[BuildStage]:
    """Return a Dockerfile's stages."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    parsed_stages: list[BuildStage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, arguments = line.split(maxsplit=1)
            if name == "FROM":
                parsed_stages.append(BuildStage(arguments.split()[0], []))
            else:
                parsed_stages[-1].instructions.append((name, arguments))
    return parsed_stages


def copy_build_context(folder: Path) -> None:
    """Copy the files of the repository that .dockerignore lets into the build context."""
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
    """The image of a Dockerfile with two stages, in a folder in place of /."""

    def __init__(self, file: Path, root: Path) -> None:
        self.build_stage, self.final_stage = parse_stages(file)
        self.root = root

    def map_paths(self, text: str) -> str:
        """Return a command with the image's absolute paths moved below `root`."""
        return re.sub(r"(?<![\w./])/(opt|var|src|data)\b", rf"{self.root}/\1", text)

    def run_build(self) -> None:
        """Run the COPY and RUN instructions of the Dockerfile, as the user who runs the test."""
        build_context = self.root / "context"
        build_context.mkdir(parents=True)
        copy_build_context(build_context)
        source = self.root / "src"
        source.mkdir()
        (self.root / "opt").mkdir()
        for arguments in self.build_stage.all_arguments("COPY"):
            *sources, destination = arguments.split()
            for name in sources:
                if (build_context / name).is_dir():
                    shutil.copytree(build_context / name, source / destination)
                else:
                    shutil.copy2(build_context / name, source / destination)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        for stage in (self.build_stage, self.final_stage):
            for command in stage.all_arguments("RUN"):
                mapped_command = re.sub(
                    r"\b10001:10001\b", f"{os.getuid()}:{os.getgid()}", self.map_paths(command)
                )
                result = subprocess.run(
                    ["sh", "-c", mapped_command],
                    cwd=source,
                    env={**os.environ, "PATH": path},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if result.returncode and "pip install" in command:
                    skip_or_fail("packages", f"can't install packages: {result.stderr[-300:]}")
                assert result.returncode == 0, result.stderr

    def environment(self) -> dict[str, str]:
        """Return the environment variables that a container starts with."""
        variables = {name: self.map_paths(value) for name, value in self.final_stage.variables("ENV").items()}
        variables["PATH"] = variables["PATH"].replace("$PATH", "/usr/bin:/bin")
        return variables


def read_only_command(command: Sequence[str | Path], *writable: Path) -> tuple[str, ...]:
    """Return a command that runs `command` with a read-only file system except for `writable` folders."""
    # `cd "$PWD"`: the working directory still refers to the mount from before the remount.
    bind_mounts = "".join(
        f"mount --bind {shlex.quote(str(path))} {shlex.quote(str(path))} && " for path in writable
    )
    script = f'{bind_mounts}mount -o remount,ro,bind / && cd "$PWD" && exec "$@"'
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if os.getuid():
        unshare.append("--map-root-user")
    return (*unshare, "sh", "-c", script, "sh", *map(str, command))
