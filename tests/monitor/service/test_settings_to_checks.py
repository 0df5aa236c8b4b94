import pytest

from monitor.config.settings import CheckSettings
from monitor.core.errors import ConfigurationError
from monitor.core.verdicts import Detector
from monitor.service.settings_to_stages import build_check_rules
from tests.support.toy_bundle import NAMES


def test_rules() -> None:
    """Settings of a group's checks come before those of all; of two patterns the first decides."""
    checks = CheckSettings.model_validate(
        {
            "flat": False,
            "sentinels": {"temperature_1": [85]},
            "rules": [{"groups": "kiln/*", "flat": True, "drift": False}, {"groups": "*7", "limits": False}],
        }
    )
    rules = build_check_rules(checks, NAMES)
    assert rules.sentinels == {"temperature_1": (85.0,)}
    is_on = {
        group: [rules.is_on(detector, group) for detector in (Detector.LIMITS, Detector.FLAT, Detector.DRIFT)]
        for group in ("line1/station6", "line1/station7", "kiln/station7")
    }
    assert is_on == {
        "line1/station6": [True, False, True],
        "line1/station7": [False, False, True],
        "kiln/station7": [True, True, False],
    }


def test_sentinel_of_no_feature() -> None:
    """A sentinel of a feature that the bundle doesn't have is refused."""
    checks = CheckSettings.model_validate({"sentinels": {"temperatur_1": [85]}})
    expected = "checks.sentinels: 'temperatur_1' is no feature of the bundle; expected temperature_1, "
    with pytest.raises(ConfigurationError, match=expected):
        build_check_rules(checks, NAMES)
