"""Who may import whom, and what no source file does: the contracts stand in pyproject.toml."""

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
PURE = [path for path in SOURCES if path.relative_to(ROOT).parts[1] in {"ingest", "detect", "groups"}]


def _named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def _names(path: Path) -> Iterator[str]:
    """Yield every plain name that a file uses."""
    yield from (node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the sources and the contracts that a test may spoil."""
    for package in ("monitor", "training"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _lint_imports(folder: Path) -> tuple[int, str]:
    """Return the exit code of lint-imports and what it printed, on one line."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return done.returncode, " ".join(done.stdout.split())


def test_contracts_hold(copy: Path) -> None:
    """All imports keep to the contracts."""
    code, text = _lint_imports(copy)
    assert (code, "0 broken" in text) == (0, True), text


@pytest.mark.parametrize(
    ("changes", "broken"),
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
)  # fmt: skip
def test_contracts_break(copy: Path, changes: dict[str, str], broken: str) -> None:
    """An import that the contracts forbid is found, an indirect one too."""
    for name, line in changes.items():
        with (copy / name).open("a") as file:
            file.write(f"\n{line}  # noqa\n")
    code, text = _lint_imports(copy)
    assert code == 1
    assert broken in text


def test_rooms() -> None:
    """No module of the monitor lies beside its rooms, but for the package's own."""
    assert {path.name for path in (ROOT / "monitor").glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("path", _named(PURE))
def test_stages_open_nothing(path: Path) -> None:
    """A stage calls neither open, print nor input."""
    assert not set(_names(path)) & {"open", "print", "input"}


@pytest.mark.parametrize("path", _named(SOURCES))
def test_nothing_runs_what_it_reads(path: Path) -> None:
    """Nothing evaluates text as code."""
    assert not set(_names(path)) & {"eval", "exec", "__import__"}
