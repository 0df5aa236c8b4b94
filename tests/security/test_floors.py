"""The oldest versions that pyproject.toml allows have no published hole, and go together."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import ROOT, skip_or_fail
from tests.shipping.pins import read_pins, supported_pythons
from tests.shipping.sbom import SCOPES
from tests.support.pip_resolver import start_dry_run

FIRST_SAFE = {
    "cbor2": ("5.9.0", "CVE-2026-26209: nesting without a limit; CVE-2025-68131, CVE-2025-64076"),
    "h11": ("0.16.0", "CVE-2025-43859: chunked bodies, request smuggling"),
    "jinja2": ("3.1.6", "CVE-2025-27516, CVE-2024-56326: code from a template"),
    "keras": (
        "3.15.1",
        "CVE-2026-1462 (3.13.2), GHSA-hqp4-2352-xf5r (3.14.0), unpickling of data sets (3.15.1)",
    ),
    "onnx": (
        "1.22.0",
        "CVE-2026-27489, CVE-2026-34445 to 34447 (1.21): files by links; CVE-2026-44512 (1.22)",
    ),
    "pillow": (
        "12.3.0",
        "PYSEC-2026-2251, CVE-2026-55798, CVE-2026-59197 to 59200: memory from an image",
    ),
    "protobuf": ("6.33.5", "CVE-2026-0994, CVE-2025-4565: nesting without a limit"),
    "pyarrow": ("23.0.1", "CVE-2026-25087, CVE-2023-47248: memory and code from a file"),
    "starlette": (
        "1.3.1",
        "CVE-2026-48710 (1.0.1): Host; PYSEC-2026-248 (1.3.0): path; CVE-2026-54283: forms",
    ),
}
"""The first version without any published hole, and the advisories of those before."""


def _project_requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    return [found for found in map(Requirement, lines) if found.name != "sensor-monitor"]


FLOORS = {
    canonicalize_name(requirement.name): Version(specifier.version)
    for requirement in _project_requirements()
    for specifier in requirement.specifier
    if specifier.operator in {">=", "=="}
}


@pytest.mark.parametrize("name", FIRST_SAFE)
def test_floor_is_safe(name: str) -> None:
    """Neither the floor nor the pin of a package is below its first version without a published hole."""
    first_safe = Version(FIRST_SAFE[name][0])
    assert FLOORS[name] >= first_safe
    pins = [Version(pin.version) for pin in read_pins() if canonicalize_name(pin.name) == name]
    assert pins
    assert min(pins) >= first_safe


def test_pins_are_within_the_floors() -> None:
    """Each package that pyproject.toml names has a floor, and a pin that isn't below it."""
    assert {canonicalize_name(requirement.name) for requirement in _project_requirements()} == set(FLOORS)
    for pin in read_pins():
        assert Version(pin.version) >= FLOORS.get(canonicalize_name(pin.name), Version("0"))


@pytest.mark.network
def test_floors_go_together(tmp_path: Path) -> None:
    """The oldest versions that are allowed can be installed together, with the oldest Python."""
    shipped = {canonicalize_name(pin.name) for pin in read_pins() if pin.section in SCOPES}
    constraints = tmp_path / "floors.txt"
    constraints.write_text("".join(f"{name}=={FLOORS[name]}\n" for name in sorted(shipped & set(FLOORS))))
    arguments = ["--constraint", str(constraints)]
    run = start_dry_run(supported_pythons()[0], ".[training,cbor,influx]", tmp_path, arguments)
    try:
        found = {canonicalize_name(name): Version(version) for name, version in run.versions().items()}
    except RuntimeError as error:
        if "Could not find a version" in str(error) or "connection" in str(error):
            skip_or_fail("packages", f"no package index answers: {error}")
        raise
    assert {name: found[name] for name in FIRST_SAFE} == {name: FLOORS[name] for name in FIRST_SAFE}
