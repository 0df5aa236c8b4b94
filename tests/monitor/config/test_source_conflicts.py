import pytest

from monitor.config.source_conflicts import find_source_conflict
from monitor.config.source_settings import SourceSettings


@pytest.mark.parametrize(
    ("second", "is_conflict"),
    [
        ({"topic": "b/{room}/{shelf}"}, True),
        ({"topic": "b/{room}"}, False),
        ({"topic": "b", "group": "line1/rack3"}, True),
        ({"topic": "b", "group": "line1"}, False),
        ({"topic": "b", "group": "$.device"}, True),
    ],
)
def test_same_group(second: dict[str, str], *, is_conflict: bool) -> None:
    """Two sources conflict if a group of so many parts could come from both."""
    first = SourceSettings(topic="a/{line}/{rack}")
    other = SourceSettings.model_validate(second)
    for sources in ([first, other], [other, first]):
        assert (find_source_conflict(sources) is not None) == is_conflict
