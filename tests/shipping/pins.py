"""Reads and writes the pins of constraints.txt: versions, markers, hashes, sections."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

__all__ = ["HEADER", "Pin", "pin_lines", "read_pins", "supported_pythons", "write_plain_pins"]

HEADER = """\
# Made by `make constraints`: versions and hashes of all packages, for pip's --requirement, --require-hashes.
# A section ends at an empty line: `sed -n '/^# monitor$/,/^$/p' constraints.txt` prints the monitor's, which
# the others need as well. The hashes are of wheels for 64-bit Linux, macOS and Windows."""


@dataclass(frozen=True)
class Pin:
    """A pin of constraints.txt."""

    section: str
    name: str
    version: str
    marker: str
    """"" if it is for every Python."""
    hashes: tuple[str, ...]
    """SHA-256 of its files, hexadecimal."""

    @property
    def line(self) -> str:
        """The pin without its hashes."""
        return f"{self.name}=={self.version}" + (f"; {self.marker}" if self.marker else "")


def read_pins(file: Path = ROOT / "constraints.txt") -> list[Pin]:
    """Return the pins of a file."""
    pins = []
    section = ""
    for line in file.read_text().replace("\\\n", " ").splitlines():
        if re.fullmatch(r"# \w+", line):
            section = line[2:]
        elif line and not line.startswith("#"):
            requirement, *hashes = line.split("--hash=sha256:")
            pin, _, marker = requirement.partition(";")
            name, version = pin.strip().split("==")
            pins.append(Pin(section, name, version, marker.strip(), tuple(map(str.strip, hashes))))
    return pins


def write_plain_pins(file: Path, pins: Iterable[Pin]) -> None:
    """Write pins without hashes, for pip's --constraint: hashes there let pip demand them of everything."""
    file.write_text("".join(f"{pin.line}\n" for pin in pins))


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
    names = {name for packages in versions.values() for name in packages}
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
