"""`make dist`: the software bill of materials of a release, in CycloneDX's JSON format.

It lists what the images have: the monitor's packages as required, those of training as optional. Versions and
hashes are those of constraints.txt, licences those that the installed packages name.
"""

import argparse
import json
import uuid
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from monitor import __version__
from tests.shipping.pins import Pin, read_pins

__all__ = ["SCOPES", "build_sbom"]

SCOPES = {"monitor": "required", "training": "optional", "tensorflow": "optional"}
"""Sections of constraints.txt that a release needs, with CycloneDX's scope."""
_PROJECT = "sensor-monitor"
_MAX_LICENSE_NAME = 100
"""Some packages have the whole text of their licence in the field for its name."""


def build_sbom(pins: Sequence[Pin]) -> dict[str, Any]:
    """Return the bill of materials of the pins of sections in `SCOPES`."""
    shipped = [pin for pin in pins if pin.section in SCOPES]
    names = {canonicalize_name(pin.name): _purl(pin.name, pin.version) for pin in shipped}
    root = _purl(_PROJECT, __version__)
    content = {
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": _PROJECT,
                "version": __version__,
                "purl": root,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": [_component(pin) for pin in shipped],
        "dependencies": [
            {
                "ref": ref,
                "dependsOn": sorted({names[found] for found in _requirements(name) if found in names}),
            }
            for name, ref in sorted({**names, canonicalize_name(_PROJECT): root}.items())
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))  # the same for the same pins
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        **content,
    }


def _component(pin: Pin) -> dict[str, Any]:
    purl = _purl(pin.name, pin.version)
    licenses = _licenses(pin.name)
    return {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "scope": SCOPES[pin.section],
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.hashes],
        **({"licenses": licenses} if licenses else {}),
        "purl": purl,
    }


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{canonicalize_name(name)}@{version}"


def _find(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:  # such as TensorFlow, where it can't be installed
        return None


def _licenses(name: str) -> list[dict[str, Any]]:
    """Return the licence that an installed package names, as CycloneDX writes it."""
    found = _find(name)
    if found is None:
        return []
    if expression := found.metadata.get("License-Expression"):
        return [{"expression": expression}]
    text = (found.metadata.get("License") or "").strip().partition("\n")[0]
    names = [text] if 0 < len(text) <= _MAX_LICENSE_NAME else []
    if not names:
        classifiers = found.metadata.get_all("Classifier", [])
        names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    return [{"license": {"name": name}} for name in names]


def _requirements(name: str) -> Iterable[str]:
    """Yield the names of what an installed package requires on this machine."""
    found = _find(name)
    for requirement in map(Requirement, (found and found.requires) or []):
        extras = ["", *(found.metadata.get_all("Provides-Extra", []) if found and name == _PROJECT else [])]
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            yield canonicalize_name(requirement.name)


def main() -> None:
    """Write the bill of materials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write it")
    file = parser.parse_args().folder / f"sensor_monitor-{__version__}.cdx.json"
    file.write_text(json.dumps(build_sbom(read_pins()), indent=1) + "\n")


if __name__ == "__main__":
    main()
