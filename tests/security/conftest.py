"""The plant that is attacked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.plant import Plant


@pytest.fixture
def plant(tmp_path: Path, toy_bundle: Path) -> Iterator[Plant]:
    """A plant at work; a test that needs other settings makes its own `Plant`."""
    with Plant(tmp_path, toy_bundle) as started:
        yield started
