"""`make constraints`: the newest versions that pyproject.toml allows, for each Python that README names.

A version that differs between them, or a package that only some need, gets a line with a marker. Each has the
hashes of its wheels, and stands in the first section whose programs need it.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT
from tests.shipping.pins import HEADER, pin_lines, read_pins, supported_pythons, write_plain_pins
from tests.support.index_hashes import find_hashes
from tests.support.pip_resolver import start_dry_run

__all__ = ["REQUIREMENT", "SECTIONS", "find_needed"]

REQUIREMENT = ".[training,demo,dev]"
"""What `make` installs."""
_PROJECT = "sensor-monitor"
SECTIONS = {
    "monitor": [f"{_PROJECT}[cbor,influx]"],
    "build": ["hatchling", "editables"],
    "training": [f"{_PROJECT}[training-without-tensorflow]"],
    "dev": [f"{_PROJECT}[demo,dev]"],
    "tensorflow": [f"{_PROJECT}[training]"],
}
"""Sections of constraints.txt in their order, with what each is for. TensorFlow is last: there are machines
that it can't be installed on."""
_NOT_PINNED = {_PROJECT}

Metadata = Mapping[str, Mapping[str, object]]
"""The metadata of a package by its canonical name, as in pip's report."""


def find_needed(packages: Metadata, requirements: Sequence[str], python: str) -> set[str]:
    """Return the canonical names of all that requirements bring along.

    Parameters
    ----------
    packages : all packages that a resolution for this Python found.
    requirements : of packages among them, with extras.
    python : as in "3.14".
    """
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    needed: set[str] = set()
    visited: set[tuple[str, str]] = set()
    pending = [Requirement(text) for text in requirements]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name not in packages:
            continue
        needed.add(name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in visited:
                visited.add((name, extra))
                pending += _active(packages[name].get("requires_dist", []), {**environment, "extra": extra})
    return needed


def _active(lines: object, environment: Mapping[str, str]) -> Iterator[Requirement]:
    """Yield the requirements of a package whose marker holds."""
    assert isinstance(lines, list)
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate(dict(environment)):
            yield requirement


def _assign_sections(found: Mapping[str, Metadata]) -> dict[str, set[str]]:
    """Return the canonical names in each section, for the packages by Python."""
    needed = {
        section: {
            name for python, packages in found.items() for name in find_needed(packages, requirements, python)
        }
        for section, requirements in SECTIONS.items()
    }
    # The image of training has no tools in it, and a machine without TensorFlow has no TensorFlow.
    needed["training"] |= needed["dev"] & needed["tensorflow"]
    taken = set(_NOT_PINNED)
    sections = {}
    for section, names in needed.items():
        sections[section] = names - taken
        taken |= names
    return sections


def _resolve(pip_arguments: Sequence[str]) -> dict[str, Metadata]:
    """Return the packages that pip would install, for each Python."""
    with TemporaryDirectory() as folder:
        runs = {
            python: start_dry_run(python, REQUIREMENT, Path(folder), pip_arguments)
            for python in supported_pythons()
        }
        try:
            return {
                python: {canonicalize_name(str(package["name"])): package for package in run.packages()}
                for python, run in runs.items()
            }
        finally:
            for run in runs.values():
                run.close()


def _section_lines(names: Iterable[str], found: Mapping[str, Metadata]) -> list[str]:
    """Return the lines of a section, with hashes."""
    versions = {
        python: {
            str(package["name"]): str(package["version"])
            for name, package in packages.items()
            if name in names
        }
        for python, packages in found.items()
    }
    pins = pin_lines(versions)
    hashes = find_hashes([pin.partition(";")[0].split("==") for pin in pins], supported_pythons())
    return [
        " \\\n".join([pin, *(f"    --hash=sha256:{digest}" for digest in digests)])
        for pin, digests in zip(pins, hashes, strict=True)
    ]


def main() -> None:
    """Write constraints.txt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--constraint", type=Path, metavar="F", help="keep these pins; hashes and sections change"
    )
    keep = parser.parse_args().constraint
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.txt"
        if keep:
            write_plain_pins(plain, read_pins(keep))
        found = _resolve(["--constraint", str(plain)] if keep else [])
    parts = [
        "\n".join([f"# {section}", *_section_lines(names, found)])
        for section, names in _assign_sections(found).items()
    ]
    (ROOT / "constraints.txt").write_text("\n\n".join([HEADER, *parts]) + "\n")


if __name__ == "__main__":
    main()
