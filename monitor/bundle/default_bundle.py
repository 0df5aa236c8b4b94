"""The default bundle, which is part of the package, for a plant without a bundle trained on its data."""

from importlib import resources
from pathlib import Path

from monitor.core.paths import PLANT_BUNDLE

__all__ = ["DEFAULT_BUNDLE_FOLDER", "choose_folder", "default_notice"]

DEFAULT_BUNDLE_FOLDER = Path(str(resources.files("monitor.bundle"))) / "default"
"""Folder of the default bundle in the installed package."""


def choose_folder(configured: Path | None) -> Path:
    """Return the folder of the bundle to load.

    This is `configured`, except that a missing `PLANT_BUNDLE` is replaced by the default bundle. Any other
    folder was named by the user, so it is returned even if it does not exist.

    Parameters
    ----------
    configured : the setting `bundle`; None: the default bundle.
    """
    if configured is None:
        return DEFAULT_BUNDLE_FOLDER
    is_plant_bundle_missing = configured == PLANT_BUNDLE and not configured.exists()
    return DEFAULT_BUNDLE_FOLDER if is_plant_bundle_missing and DEFAULT_BUNDLE_FOLDER.exists() else configured


def default_notice(folder: Path) -> str:
    """Return a notice for the log and for `check` if `folder` is the default bundle, else ""."""
    if folder != DEFAULT_BUNDLE_FOLDER:
        return ""
    return (
        "THIS IS THE DEFAULT BUNDLE, because the settings name no bundle that exists. Nothing need be done: "
        "it judges each group by the group's own normal. Whether one trained on this plant would be better, "
        "`sensor-training fit --healthy` measures on a recording; on the real plants tried it hardly ever was"
    )
