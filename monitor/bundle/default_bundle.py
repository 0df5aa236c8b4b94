"""The bundle that comes with the monitor, for a plant that has none of its own yet."""

from importlib import resources
from pathlib import Path

from monitor.core.paths import PLANT_BUNDLE

__all__ = ["FOLDER", "choose", "note"]

FOLDER = Path(str(resources.files("monitor.bundle"))) / "default"
"""Where it is, in the installed package."""


def choose(named: Path | None) -> Path:
    """Return the folder to load: the one that the settings name, or `FOLDER` where they name none.

    A folder other than `PLANT_BUNDLE` was meant by somebody, so it is never replaced.

    Parameters
    ----------
    named : as in the settings; None: `FOLDER`.
    """
    if named is None:
        return FOLDER
    return FOLDER if named == PLANT_BUNDLE and not named.exists() and FOLDER.exists() else named


def note(folder: Path) -> str:
    """Return what to say of the folder in use; "" unless it is the default bundle."""
    if folder != FOLDER:
        return ""
    return (
        "THIS IS THE DEFAULT BUNDLE, for the settings name none that is there: it has never seen this plant. "
        "`sensor-monitor record` for half an hour, then `sensor-training fit --healthy`, makes one that has"
    )
