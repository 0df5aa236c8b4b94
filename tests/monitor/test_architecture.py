import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCES = sorted((ROOT / "monitor").rglob("*.py")) + sorted((ROOT / "training").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
STAGES = (
    "decode", "windows", "baseline", "scaler", "classifier", "alerts", "alerting", "contributions", "reasons",
    "ranges", "drift", "chain", "incidents", "mutes", "medians", "learning", "normals",
)  # fmt: skip
FOR_TRAINING = {"records", "windows", "baseline", "scaler", "classifier", "alerts", "bundle", "drift"}
NO_STAGE = {
    "logging", "time", "threading", "asyncio", "socket", "os", "io", "pathlib", "paho", "prometheus_client",
}  # fmt: skip


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(path: Path) -> Iterator[str]:
    """Yield the full name of all that a file imports, wherever in it: `monitor.bundle.load.Golden`."""
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imports(path)}


def _named(sources: list[Path]) -> list[object]:
    return [pytest.param(path, id=_name(path)) for path in sources]


def test_all_are_looked_at() -> None:
    """The rules look at the two packages, and at every stage."""
    names = {_name(path) for path in SOURCES}
    assert {f"monitor/{stage}.py" for stage in STAGES} | {"monitor/web/app.py", "training/fit.py"} <= names


@pytest.mark.parametrize("path", _named([path for path in SOURCES if _name(path).startswith("monitor/")]))
def test_monitor_without_training(path: Path) -> None:
    """The monitor imports neither training nor what only training needs."""
    assert not _tops(path) & {"training", "tensorflow", "keras", "sklearn", "pandas", "matplotlib", "onnx"}


@pytest.mark.parametrize("path", _named([path for path in SOURCES if _name(path).startswith("training/")]))
def test_training_takes_stages_only(path: Path) -> None:
    """Training imports from the monitor only what runs in it and the contract, and its version."""
    ours = [name.split(".")[1:] for name in _imports(path) if name.partition(".")[0] == "monitor"]
    assert {parts[0] for parts in ours if parts} <= FOR_TRAINING | {"__version__"}


@pytest.mark.parametrize("stage", STAGES)
def test_stages_are_pure(stage: str) -> None:
    """A stage imports nothing with which it could read a clock, do I/O, log or count."""
    assert not _tops(ROOT / "monitor" / f"{stage}.py") & NO_STAGE


@pytest.mark.parametrize("stage", STAGES)
def test_stages_open_nothing(stage: str) -> None:
    """A stage calls neither open, print nor input."""
    tree = ast.parse((ROOT / "monitor" / f"{stage}.py").read_text())
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input"}


@pytest.mark.parametrize(("package", "owner"), [("paho", "mqtt/"), ("onnxruntime", "classifier.py")])
def test_one_place_knows_it(package: str, owner: str) -> None:
    """Of the monitor, one package imports the MQTT client and one module imports the runtime."""
    users = [
        _name(path) for path in SOURCES if package in _tops(path) and path.is_relative_to(ROOT / "monitor")
    ]
    assert users
    assert all(user.startswith(f"monitor/{owner}") for user in users)


@pytest.mark.parametrize("path", _named(SOURCES + TESTS))
def test_files_are_short(path: Path) -> None:
    """No file has more than 300 lines."""
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", _named(SOURCES))
def test_nothing_runs_what_it_reads(path: Path) -> None:
    """Nothing unpickles, and nothing evaluates text as code."""
    assert not _tops(path) & {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    assert not names & {"eval", "exec", "__import__"}
