from typing import Any

import pytest

from monitor.ingest.paths import MISSING, Path, describe_path, follow, to_path


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("", ()),
        ("temperature", ("temperature",)),
        ("data.t1", ("data", "t1")),
        (["params", "temperature:100", "tC"], ("params", "temperature:100", "tC")),
        (["a.b", 0], ("a.b", 0)),
    ],
)
def test_setting(setting: Any, path: Path) -> None:
    """A text is split at its dots, a list is taken as it is."""
    assert to_path(setting) == path


@pytest.mark.parametrize("setting", [".", "a.", ".a", "a..b"])
def test_empty_part(setting: str) -> None:
    """A dotted path with an empty part is refused, with the path."""
    with pytest.raises(ValueError, match="is no dotted path: it has an empty part") as error:
        to_path(setting)
    assert repr(setting) in str(error.value)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ((), {"a": [{"b": 1}, 2], "0": 3, "n": None}),
        (("a", 0, "b"), 1),
        (("a", "0", "b"), 1),
        (("a", 1), 2),
        (("0",), 3),
        (("n",), None),
        (("x",), MISSING),
        (("a", 2), MISSING),
        (("a", -1), MISSING),
        (("a", "x"), MISSING),
        (("a", "²"), MISSING),
        (("n", "x"), MISSING),
        (("a", 1, "x"), MISSING),
    ],
)
def test_follow(path: Path, found: Any) -> None:
    """A path leads through objects by key and through arrays by index; null is something, nothing is not."""
    assert follow({"a": [{"b": 1}, 2], "0": 3, "n": None}, path) == found


def test_description() -> None:
    """A path is written for people as JSON tools write it."""
    assert describe_path(("values", 0, "t")) == "$.values[0].t"
    assert describe_path(()) == "$"
