"""The threat model names tests that are there, and each attack of tests/security is in it."""

import ast
import re

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "explanation" / "threat-model.md").read_text()
SECURITY = ROOT / "tests" / "security"
NAMED_TEST = re.compile(r"`((?:tests/[\w/]+/)?)(test_\w+\.py)(?:::(test_\w+))?`")
OF_THE_HARNESS = {"test_plant.py"}


def test_named_tests_are_there() -> None:
    """Each file and function that stands for what somebody can't do is there."""
    named = NAMED_TEST.findall(PAGE)
    assert named
    missing = []
    for folder, file, function in named:
        path = (ROOT / folder if folder else SECURITY) / file
        tests = _functions(path.read_text()) if path.is_file() else set()
        if not tests or (function and function not in tests):
            missing.append(f"{folder}{file}::{function}")
    assert not missing


def test_every_attack_is_named() -> None:
    """Each file of tests/security stands in the model's last table."""
    attacks = PAGE.partition("## What was attacked")[2]
    files = {path.name for path in SECURITY.glob("test_*.py")} - OF_THE_HARNESS
    assert files - {file for _, file, _ in NAMED_TEST.findall(attacks)} == set()


def _functions(source: str) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, functions) and node.name.startswith("test_")
    }
