"""Finds settings that were given and have no effect."""

from collections.abc import Collection

from monitor.core.errors import InvalidInputError
from training.config.settings import FitSettings

__all__ = ["check_effect"]


def check_effect(settings: FitSettings, *, has_windows_file: bool, searched: Collection[str] = ()) -> None:
    """Refuse a setting that differs from its default and has no effect.

    Whoever sets it expects an effect. A setting that has its default is accepted, so that a file with all
    settings can be used whole.

    Parameters
    ----------
    has_windows_file : whether there is a file of windows, which has no timestamps.
    searched : settings that a search replaces by its own values.

    Raises
    ------
    InvalidInputError : there is such a setting.
    """
    reasons = {
        "joint_shift": settings.baseline != "none"
        and "baseline is group, which takes off what sensors share; expected baseline none",
        "recurrent_initializer": settings.network == "dense"
        and "a dense network has no recurrent weights; expected network lstm",
        "cleaning_factor": settings.cleaning_scope == "off"
        and "cleaning_scope is off; expected normal or all",
        "sample_period": not has_windows_file
        and "recordings contain their times; expected it with --windows only",
        **dict.fromkeys(searched, "the search tries its own values; expected it without"),
    }
    default = FitSettings(network=settings.network)  # on which some defaults depend
    for name, reason in reasons.items():
        value = getattr(settings, name)
        if reason and value != getattr(default, name):
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            raise InvalidInputError(f"{name} {shown} has no effect: {reason}")
