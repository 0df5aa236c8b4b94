import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ROOT

GENERATOR = ROOT / "docs" / "reference" / "generate.py"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The program that writes the reference, as a module."""
    specification = importlib.util.spec_from_file_location("generate", GENERATOR)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_reference_is_up_to_date(generator: ModuleType) -> None:
    """The generated parts of the reference are what the code says now; `make docs` writes them again."""
    stale = [
        page.name for page in generator.pages() if generator.render(page.read_text()) != page.read_text()
    ]
    assert not stale


def test_everything_generated_is_shown(generator: ModuleType) -> None:
    """Every part that can be generated stands on some page, each schema too."""
    text = "".join(page.read_text() for page in generator.pages())
    assert not [name for name in generator.BLOCKS if f"<!-- generated: {name} -->" not in text]


@pytest.mark.parametrize("change", ["readings", "`judged`"])
def test_a_stale_page_is_noticed(generator: ModuleType, change: str) -> None:
    """A page whose generated part somebody edited by hand differs from what is generated."""
    page: Path = GENERATOR.parent / ("metrics.md" if change == "readings" else "outcomes.md")
    text = page.read_text()
    assert generator.render(text.replace(change, "edited")) != text.replace(change, "edited")
