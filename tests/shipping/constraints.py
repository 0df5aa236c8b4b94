"""`make constraints`: the newest versions that pyproject.toml allows, for each Python that README names.

A version that differs between them, or a package that only some need, gets a line with a marker.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import ROOT
from tests.support.pip_resolver import start_dry_run

__all__ = ["REQUIREMENT", "pin_lines", "supported_pythons"]

REQUIREMENT = ".[training,demo,dev]"
"""What `make` installs."""
_NOT_PINNED = {"sensor-monitor", "setuptools", "wheel"}


def supported_pythons() -> list[str]:
    """Return the versions of Python that README names, oldest first."""
    readme = (ROOT / "README.md").read_text()
    (sentence,) = re.findall(r"On a machine with Python ([\d., or\s]+?), make and git", readme)
    return re.findall(r"\d\.\d+", sentence)


def pin_lines(versions: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the pins.

    Parameters
    ----------
    versions : for each Python, oldest first, the version of each package.
    """
    names = {name for packages in versions.values() for name in packages} - _NOT_PINNED
    return [
        f"{name}=={version}{_marker(pythons, list(versions))}"
        for name in sorted(names, key=str.lower)
        for version, pythons in _runs([(python, packages.get(name)) for python, packages in versions.items()])
    ]


def _runs(choices: Sequence[tuple[str, str | None]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each version with the neighbouring Pythons that have it."""
    start = 0
    for end in range(1, len(choices) + 1):
        if end == len(choices) or choices[end][1] != choices[start][1]:
            version = choices[start][1]
            if version is not None:
                yield version, [python for python, _ in choices[start:end]]
            start = end


def _marker(pythons: Sequence[str], all_pythons: Sequence[str]) -> str:
    """Return the marker for neighbouring Pythons; below the oldest and above the newest it has no bound."""
    bounds = []
    if pythons[0] != all_pythons[0]:
        bounds.append(f'python_version >= "{pythons[0]}"')
    if pythons[-1] != all_pythons[-1]:
        following = all_pythons[all_pythons.index(pythons[-1]) + 1]
        bounds.append(f'python_version < "{following}"')
    return f"; {' and '.join(bounds)}" if bounds else ""


def main() -> None:
    """Write constraints.txt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--constraint", type=Path, metavar="F", help="keep these pins; only markers change")
    keep = parser.parse_args().constraint
    pip_arguments = ["--constraint", str(keep.resolve())] if keep else []
    with TemporaryDirectory() as folder:
        runs = {
            python: start_dry_run(python, REQUIREMENT, Path(folder), pip_arguments)
            for python in supported_pythons()
        }
        try:
            lines = pin_lines({python: run.versions() for python, run in runs.items()})
        finally:
            for run in runs.values():
                run.close()
    (ROOT / "constraints.txt").write_text("# Made by `make constraints`.\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
