"""Where things are that several rooms look for."""

from pathlib import Path

__all__ = ["PLANT_BUNDLE"]

PLANT_BUNDLE = Path("var/bundle")
"""The plant's own bundle, unless the settings say otherwise."""
