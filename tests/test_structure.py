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


# Annotations of plain data: what a record may consist of, and what a constructor may take any number of.
_PLAIN_NAMES = {
    "str", "int", "float", "bool", "bytes", "None", "object", "Any", "datetime", "Path", "Literal",
    "Sequence", "Iterable", "Collection", "Mapping", "Counter", "tuple", "list", "dict", "set", "frozenset",
    "Annotated", "Count", "NDArray", "FloatArray", "IndexArray", "np", "float32", "intp", "SecretStr",
}  # fmt: skip
_MAX_PARTS = 6


def _classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    """Yield every class of the monitor."""
    for path in SOURCES:
        if path.is_relative_to(ROOT / "monitor"):
            yield from (
                (path, node)
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ClassDef)
            )


def _fields(node: ast.ClassDef) -> list[ast.AnnAssign]:
    return [part for part in node.body if isinstance(part, ast.AnnAssign)]


def _is_plain(annotation: ast.expr | None, plain_names: set[str]) -> bool:
    """Say whether a value with this annotation is data, by the names in it."""
    if annotation is None:
        return False
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    return {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)} <= plain_names


def _generates_constructor(node: ast.ClassDef) -> bool:
    """Say whether the fields of a class are the parameters of its constructor."""
    decorators = ast.unparse(ast.Module([ast.Expr(part) for part in node.decorator_list], []))
    bases = {ast.unparse(base).split(".")[-1] for base in node.bases}
    return "dataclass" in decorators or bool(bases & {"Struct", "NamedTuple", "BaseModel", "BaseSettings"})


def _plain_names() -> set[str]:
    """Return the names of plain types: built-in types, aliases, enumerations and records of such alone."""
    names, records = set(_PLAIN_NAMES), {}
    for path, node in _classes():
        bases = {ast.unparse(base) for base in node.bases}
        if path.name.endswith("settings.py") or bases & {"StrEnum", "IntEnum"}:
            names.add(node.name)
        elif _generates_constructor(node):
            records[node.name] = node
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp):
                aliased = _is_plain(node.value, names | records.keys())
                names |= {ast.unparse(target) for target in node.targets} if aliased else set()
    while True:
        plain = {
            name
            for name, node in records.items()
            if all(_is_plain(part.annotation, names) for part in _fields(node))
        }
        if plain <= names:
            return names
        names |= plain


def _constructor_parameters(node: ast.ClassDef) -> list[tuple[str, ast.expr | None]]:
    """Return names and annotations of the parameters of a class's constructor."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            arguments = [*part.args.posonlyargs, *part.args.args[1:], *part.args.kwonlyargs]
            return [(argument.arg, argument.annotation) for argument in arguments]
    if _generates_constructor(node):
        return [(ast.unparse(part.target), part.annotation) for part in _fields(node)]
    return []


def test_constructors_are_small() -> None:
    """No constructor takes more than six parameters that aren't plain data."""
    plain_names, too_large = _plain_names(), {}
    for path, node in _classes():
        parts = [
            name
            for name, annotation in _constructor_parameters(node)
            if not _is_plain(annotation, plain_names)
        ]
        if len(parts) > _MAX_PARTS:
            too_large[f"{path.relative_to(ROOT)}: {node.name}"] = parts
    assert not too_large
