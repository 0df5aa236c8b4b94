"""The bundle that comes with the monitor, for a plant that has none of its own yet."""

from importlib import resources
from pathlib import Path

from monitor.core.paths import PLANT_BUNDLE

__all__ = ["DEFAULT_BUNDLE_FOLDER", "choose_folder", "default_notice"]

DEFAULT_BUNDLE_FOLDER = Path(str(resources.files("monitor.bundle"))) / "default"
"""Where it is, in the installed package."""


def choose_folder(configured: Path | None) -> Path:
    """Return the folder to load: the one that the settings name, or `DEFAULT_BUNDLE_FOLDER` where they name none.

    A folder other than `PLANT_BUNDLE` was meant by somebody, so it is never replaced.

    Parameters
    ----------
    configured : as in the settings; None: `DEFAULT_BUNDLE_FOLDER`.
    """
    if configured is None:
        return DEFAULT_BUNDLE_FOLDER
    return (
        DEFAULT_BUNDLE_FOLDER
        if configured == PLANT_BUNDLE and not configured.exists() and DEFAULT_BUNDLE_FOLDER.exists()
        else configured
    )


def default_notice(folder: Path) -> str:
    """Return what to say of the folder in use; "" unless it is the default bundle."""
    if folder != DEFAULT_BUNDLE_FOLDER:
        return ""
    return (
        "THIS IS THE DEFAULT BUNDLE, for the settings name none that is there: it has never seen this plant. "
        "`sensor-monitor record` for half an hour, then `sensor-training fit --healthy`, makes one that has"
    )
