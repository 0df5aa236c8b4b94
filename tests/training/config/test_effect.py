from typing import Any

import pytest

from monitor.core.errors import InvalidInputError
from training.config.effect import check_effect
from training.config.settings import FitSettings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"joint_shift": 3.0}, "joint_shift 3.0 has no effect: baseline is group"),
        ({"network": "dense", "recurrent_initializer": "ones"}, "a dense network has no recurrent weights"),
        ({"cleaning_scope": "off", "cleaning_factor": 3.0}, "cleaning_scope is off"),
        ({"sample_period": 60.0}, "expected it with --windows only"),
        ({"units": (8, 6, 4)}, "units 8,6,4 has no effect: the search tries its own values"),
    ],
)
def test_a_setting_without_effect_is_refused(given: dict[str, Any], message: str) -> None:
    """A setting that was given and changes nothing is refused, with the reason."""
    with pytest.raises(InvalidInputError, match=message):
        check_effect(FitSettings(**given), has_windows_file=False, searched=("units",))


def test_settings_with_an_effect_pass() -> None:
    """Defaults pass, and the same settings where they have an effect."""
    check_effect(FitSettings(network="dense", cleaning_scope="off"), has_windows_file=False)
    check_effect(
        FitSettings(baseline="none", joint_shift=3.0, sample_period=60.0, units=(8, 6, 4)),
        has_windows_file=True,
    )
