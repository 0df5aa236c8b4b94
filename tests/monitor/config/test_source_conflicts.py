"""Which sources contradict each other."""

import pytest

from monitor.config.source_conflicts import find_source_conflict
from monitor.config.source_settings import SourceSettings


@pytest.mark.parametrize("order", [1, -1])
def test_other_number_of_names(order: int) -> None:
    """Groups with another number of names are others, in whatever order the sources are."""
    sources = [
        SourceSettings(topic=topic, features={"temperature_1": "t"}) for topic in ("a/{x}", "b/{x}/{y}/{z}")
    ]
    assert find_source_conflict(sources[::order]) is None


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("group", "conflicts"), [("one", True), ("one/two", False)])
def test_constant_group(order: int, group: str, *, conflicts: bool) -> None:
    """A constant group may be that of a topic with so many names."""
    sources = [
        SourceSettings(topic="a/{x}", features={"temperature_1": "t"}),
        SourceSettings(topic="b", group=group, features={"temperature_1": "t"}),
    ]
    assert (find_source_conflict(sources[::order]) is not None) == conflicts
