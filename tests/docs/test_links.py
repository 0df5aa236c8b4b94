import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.pages import PAGES, anchors, links, name

BY_NAME = [pytest.param(page, id=name(page)) for page in PAGES]
PATH = re.compile(r"`((?:monitor|training|tests|config|docker|docs)/[\w./-]*)`")


@pytest.mark.parametrize("page", BY_NAME)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link within the repository leads to a file that is there, and to a heading in it."""
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{file} is not there"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(target), f"{file or name(page)} has no heading #{anchor}"


@pytest.mark.parametrize("page", BY_NAME)
def test_paths_exist(page: Path) -> None:
    """Every path of the repository that a page names is there."""
    missing = [path for path in PATH.findall(page.read_text()) if not (ROOT / path).exists()]
    assert not missing


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links every page of the documentation."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / file).resolve() for file, _ in links(index)}
    assert {page for page in PAGES if page.is_relative_to(index.parent)} - linked == {index}


def test_readme_is_short() -> None:
    """The README has one or two screens, and its picture loads quickly."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
    assert (ROOT / "docs" / "page.png").stat().st_size < 300_000


def test_every_route_is_documented() -> None:
    """docs/reference/http.md has each path that the monitor answers for programs."""
    routes = re.findall(r'Route\("(/\w+)"', (ROOT / "monitor" / "web" / "app.py").read_text())
    page = (ROOT / "docs" / "reference" / "http.md").read_text()
    assert routes
    assert not [route for route in routes if f"| `{route}` |" not in page]


def test_every_make_target_is_documented() -> None:
    """CONTRIBUTING.md has each target of the Makefile, and none that isn't there."""
    (targets,) = re.findall(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    documented = re.findall(r"^\| `make (\w+)", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)
    assert sorted(documented) == sorted(targets.split())
