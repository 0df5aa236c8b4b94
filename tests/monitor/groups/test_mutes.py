import pytest

from monitor.groups.mutes import Mutes, matcher


@pytest.mark.parametrize(
    ("pattern", "matching", "not_matching"),
    [
        ("line1/a", ["line1/a"], ["line1/ab", "xline1/a", "line1/A"]),
        ("line1/*", ["line1/a", "line1/a/b", "line1/\n"], ["line1", "line2/a"]),
        ("a?", ["ab", "a/"], ["a", "abc"]),
        ("a[1]", ["a[1]", "a1"], ["a2"]),
        ("*", ["a", "a/b"], []),
    ],
)
def test_patterns(pattern: str, matching: list[str], not_matching: list[str]) -> None:
    """A pattern matches whole names, and always the group of exactly that name."""
    matches = matcher(pattern)
    assert [name for name in [*matching, *not_matching] if matches(name)] == matching


def test_costly_pattern() -> None:
    """No pattern as long as a request allows takes long to match."""
    assert not matcher("*a" * 1000)("a" * 999 + "b")


def test_expiry() -> None:
    """A group is muted until the end of the last pattern that matches it; a new end replaces the old one."""
    mutes = Mutes()
    mutes.mute("a/*", 10.0)
    mutes.mute("*/b", 20.0)
    mutes.mute("a/*", 15.0)
    assert not mutes.expire(14.9)
    assert mutes.expire(15.0)
    assert (mutes.is_muted("a/b"), mutes.is_muted("a/c")) == (True, False)
    assert mutes.entries() == [("*/b", 20.0)]
    assert mutes.unmute("*/b")
    assert not mutes.unmute("*/b")
    assert not mutes.is_muted("a/b")


def test_pattern_limit() -> None:
    """The number of patterns is limited; the end of an existing pattern can always be changed."""
    mutes = Mutes()
    for number in range(100):
        mutes.mute(str(number), 1.0)
    with pytest.raises(ValueError, match="100 patterns are muted already"):
        mutes.mute("one more", 1.0)
    mutes.mute("7", 2.0)
    assert not mutes.is_muted("one more")
