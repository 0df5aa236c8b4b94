"""The release's bill of materials is CycloneDX, and names what is installed."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from packaging.utils import canonicalize_name

from monitor import __version__
from tests.conftest import ROOT, skip_or_fail
from tests.shipping.pins import read_pins
from tests.shipping.sbom import build_sbom

BOM = build_sbom(read_pins())
COMPONENTS = {component["name"]: component for component in BOM["components"]}


def test_schema() -> None:
    """It is valid by CycloneDX's own schema."""
    if find_spec("cyclonedx") is None:
        skip_or_fail("packages", "cyclonedx-python-lib isn't installed")
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(BOM)) is None


def test_components() -> None:
    """It has each package that the monitor needs, with version, hashes and licence, and no tool."""
    for name in ("msgspec", "numpy", "onnxruntime", "paho-mqtt", "starlette", "uvicorn"):
        component = COMPONENTS[name]
        assert component["version"] == version(name)
        assert component["purl"] == f"pkg:pypi/{canonicalize_name(name)}@{version(name)}"
        assert component["scope"] == "required"
        assert component["licenses"]
        assert all(re.fullmatch("[0-9a-f]{64}", found["content"]) for found in component["hashes"])
    assert COMPONENTS["pandas"]["scope"] == "optional"
    assert not {"pytest", "ruff", "mypy"} & set(COMPONENTS)


def test_dependencies() -> None:
    """It says what needs what, beginning with the project itself."""
    needs = {entry["ref"]: entry["dependsOn"] for entry in BOM["dependencies"]}
    root = BOM["metadata"]["component"]["bom-ref"]
    assert root == f"pkg:pypi/sensor-monitor@{__version__}"
    assert COMPONENTS["starlette"]["purl"] in needs[root]
    assert COMPONENTS["anyio"]["purl"] in needs[COMPONENTS["starlette"]["purl"]]


def test_same_pins_same_file(tmp_path: Path) -> None:
    """`make dist` writes it beside sdist and wheel, and the same again for the same pins."""
    command = [sys.executable, "-m", "tests.shipping.sbom", tmp_path]
    subprocess.run(command, check=True, cwd=ROOT)
    assert json.loads((tmp_path / f"sensor_monitor-{__version__}.cdx.json").read_text()) == BOM
    makefile = (ROOT / "Makefile").read_text()
    assert "-m tests.shipping.sbom dist" in makefile
