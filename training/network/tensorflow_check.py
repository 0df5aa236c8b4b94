"""Whether TensorFlow is installed, and what to tell a user who lacks it."""

import platform
from importlib.util import find_spec

from monitor.core.errors import InvalidInputError

__all__ = ["TENSORFLOW_PYTHONS", "require_tensorflow"]

TENSORFLOW_PYTHONS = "3.11 to 3.13"
"""Versions of Python that TensorFlow is available for; pyproject.toml has the same as a marker."""


def require_tensorflow() -> None:
    """Return if TensorFlow is installed, without importing it, which takes seconds.

    Raises
    ------
    InvalidInputError : it isn't.
    """
    if find_spec("tensorflow") is None:
        raise InvalidInputError(
            "training needs TensorFlow, which isn't installed here: it is available for Python "
            f"{TENSORFLOW_PYTHONS}, and this is Python {platform.python_version()}; "
            "install sensor-monitor[training] with one of those"
        )
