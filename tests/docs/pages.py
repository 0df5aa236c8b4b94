"""The documentation's pages, and what is in them."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

__all__ = ["PAGES", "anchors", "code_blocks", "links", "name"]

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
"""Every Markdown page that people are meant to read."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", flags=re.MULTILINE)


def name(page: Path) -> str:
    """Return a page's path in the repository."""
    return str(page.relative_to(ROOT))


def code_blocks(page: Path, kind: str) -> list[str]:
    """Return the blocks of code of this kind, in their order."""
    return [text for found, text in _FENCE.findall(page.read_text()) if found == kind]


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield file and anchor of each link that stays in the repository; either may be empty."""
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if not re.match(r"\w+:", target):
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}
