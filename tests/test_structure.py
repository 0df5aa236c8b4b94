"""Imports keep to the contracts in pyproject.toml, and sources use no forbidden functions."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCES = sorted((ROOT / "monitor").rglob("*.py")) + sorted((ROOT / "training").rglob("*.py"))
PURE_SOURCES = [path for path in SOURCES if path.relative_to(ROOT).parts[1] in {"ingest", "detect", "groups"}]


def _path_params(paths: list[Path]) -> list[object]:
    """Return the paths as test parameters, with their relative paths as ids."""
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def _used_names(path: Path) -> Iterator[str]:
    """Yield every unqualified name in a source file."""
    yield from (node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name))


@pytest.fixture
def project_copy(tmp_path: Path) -> Path:
    """A copy of the sources and the contracts that a test may change."""
    for package in ("monitor", "training"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _lint_imports(folder: Path) -> tuple[int, str]:
    """Return the exit code of lint-imports and its output on one line."""
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, " ".join(result.stdout.split())


def test_contracts_hold(project_copy: Path) -> None:
    """All imports keep to the contracts."""
    code, text = _lint_imports(project_copy)
    assert (code, "0 broken" in text) == (0, True), text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"monitor/detect/ranges.py": "import monitor.config.settings"},
            "monitor.detect is not allowed to import monitor.config",
        ),
        (
            {
                "monitor/core/arrays.py": "import logging",
                "monitor/core/medians.py": "import monitor.core.arrays",
                "monitor/detect/ranges.py": "import monitor.core.medians",
            },
            "monitor.detect is not allowed to import logging",
        ),
        (
            {"monitor/cli/main.py": "import training.config.settings"},
            "monitor is not allowed to import training",
        ),
        (
            {"monitor/publish/payloads.py": "import monitor.operators.requests"},
            "monitor.publish is not allowed to import monitor.operators",
        ),
        ({"monitor/service/daemon.py": "import paho"}, "monitor.service is not allowed to import paho"),
        ({"training/fit/fit.py": "import monitor.web.app"}, "training is not allowed to import monitor.web"),
    ],
    ids=["stage-settings", "stage-log-indirectly", "monitor-training", "sideways", "paho", "training-web"],
)
def test_forbidden_import_breaks_a_contract(
    project_copy: Path, changes: dict[str, str], message: str
) -> None:
    """lint-imports reports an import that a contract forbids, also an indirect one."""
    for name, line in changes.items():
        with (project_copy / name).open("a") as file:
            file.write(f"\n{line}  # noqa\n")
    code, text = _lint_imports(project_copy)
    assert code == 1
    assert message in text


def test_modules_are_in_subpackages() -> None:
    """All modules of `monitor` but `__init__` and `__main__` are in subpackages."""
    assert {path.name for path in (ROOT / "monitor").glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("path", _path_params(PURE_SOURCES))
def test_stages_do_no_io(path: Path) -> None:
    """A stage calls neither open, print nor input."""
    assert not set(_used_names(path)) & {"open", "print", "input"}


@pytest.mark.parametrize("path", _path_params(SOURCES))
def test_no_source_evaluates_text(path: Path) -> None:
    """No source evaluates text as code."""
    assert not set(_used_names(path)) & {"eval", "exec", "__import__"}
