import pytest

from monitor.groups.mutes import Mutes


def test_expiry() -> None:
    """A group is muted until the end of the last pattern that matches it; a new end replaces the old one."""
    mutes = Mutes()
    for pattern, seconds in (("a/*", 10.0), ("*/b", 20.0), ("a/*", 15.0)):
        mutes.mute(pattern, seconds, wall=1000.0, now=0.0)
    assert not mutes.expire(14.9)
    assert mutes.expire(15.0)
    assert (mutes.is_muted("a/b"), mutes.is_muted("a/c")) == (True, False)
    assert mutes.entries() == [("*/b", 1020.0)]
    assert mutes.unmute("*/b")
    assert not mutes.unmute("*/b")
    assert not mutes.is_muted("a/b")


def test_pattern_limit() -> None:
    """The number of patterns is limited; the end of an existing pattern can always be changed."""
    mutes = Mutes()
    for number in range(100):
        mutes.mute(str(number), 1.0, wall=0.0, now=0.0)
    with pytest.raises(ValueError, match="100 patterns are muted already"):
        mutes.mute("one more", 1.0, wall=0.0, now=0.0)
    mutes.mute("7", 2.0, wall=0.0, now=0.0)
    assert not mutes.is_muted("one more")


@pytest.mark.parametrize("step", [3e7, -3e7])
def test_clock_that_is_set(step: float) -> None:
    """A mute keeps its length when the wall clock is set, and its end is by the new clock."""
    mutes = Mutes()
    mutes.mute("a", 60.0, wall=1e9, now=0.0)
    mutes.mark_saved()
    assert mutes.follow_clock(1e9 + step + 10.0, 10.0)
    assert (mutes.entries(), mutes.dirty) == ([("a", 1e9 + step + 60.0)], True)
    assert not mutes.expire(59.9)
    assert mutes.expire(60.0)


@pytest.mark.parametrize(
    ("until", "length", "remaining"), [(1030.0, 60.0, 30.0), (3e7, 60.0, 60.0), (3e7, None, 3e7 - 1000)]
)
def test_stored_by_a_wrong_clock(until: float, length: float | None, remaining: float) -> None:
    """After a restart no mute lasts longer than it was to last, if that is known."""
    mutes = Mutes([("a", until, length)], wall=1000.0, now=5.0)
    assert mutes.entries() == [("a", 1000.0 + remaining)]
    assert mutes.dirty == (until - 1000.0 != remaining)
    assert not mutes.expire(5.0 + remaining - 0.1)
    assert mutes.expire(5.0 + remaining)


def test_longest() -> None:
    """A mute longer than allowed is refused with the bound, and a stored one is cut to it."""
    mutes = Mutes([("a", 1e6, 1e6), ("b", 50.0, None)], longest=100.0)
    assert (mutes.entries(), mutes.dirty) == ([("a", 100.0), ("b", 50.0)], True)
    with pytest.raises(ValueError, match=r"2 minutes is too long; operators.longest_mute allows 1.66667"):
        mutes.mute("c", 120.0, wall=0.0, now=0.0)
    assert not mutes.is_muted("c")


def test_characters_limit() -> None:
    """The length of the patterns with wildcards is limited; names don't count."""
    mutes = Mutes()
    for number in range(32):
        mutes.mute(f"{number:02d}{'x' * 253}*", 1.0, wall=0.0, now=0.0)
    mutes.mute("x" * 1000, 1.0, wall=0.0, now=0.0)
    with pytest.raises(ValueError, match="would have 8194 characters together; expected at most 8192"):
        mutes.mute("y*", 1.0, wall=0.0, now=0.0)
    with pytest.raises(ValueError, match="at most 256 characters"):
        mutes.mute("*" * 257, 1.0, wall=0.0, now=0.0)
    mutes.mute(f"07{'x' * 253}*", 2.0, wall=0.0, now=0.0)


def test_many_groups() -> None:
    """What is remembered of groups is forgotten with each change of the patterns, and is limited."""
    mutes = Mutes()
    mutes.mute("a*", 1.0, wall=0.0, now=0.0)
    names = [f"{letter}{number}" for number in range(25_000) for letter in "ab"]
    assert sum(map(mutes.is_muted, names)) == 25_000
    mutes.mute("b1*", 1.0, wall=0.0, now=0.0)
    assert mutes.is_muted("b1")
    mutes.unmute("a*")
    assert not mutes.is_muted("a1")
