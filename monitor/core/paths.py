"""Default paths that several packages use."""

from pathlib import Path

__all__ = ["PLANT_BUNDLE"]

PLANT_BUNDLE = Path("var/bundle")
"""Default of the setting `bundle`: the bundle trained on the plant's own readings."""
