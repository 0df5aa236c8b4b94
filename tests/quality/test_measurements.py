"""The measurements that `make` targets run need the interfaces of today."""

from importlib import import_module
from pathlib import Path

import pytest

pytestmark = pytest.mark.tensorflow

MODULES = sorted(
    path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith(("test_", "__"))
)


@pytest.mark.parametrize("name", MODULES)
def test_imports(name: str) -> None:
    """Everything that a measurement imports exists."""
    import_module(f"tests.quality.{name}")
