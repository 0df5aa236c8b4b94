import re
from collections.abc import Iterator
from fnmatch import translate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.patterns import MAX_PATTERN_LENGTH, PatternSet, check_pattern, literal_prefix

PATTERNS = st.text("ab*?", max_size=8)
NAMES = st.text("ab/", max_size=8)


@pytest.mark.parametrize(
    ("pattern", "matching", "not_matching"),
    [
        ("line1/a", ["line1/a"], ["line1/ab", "xline1/a", "line1/A"]),
        ("line1/*", ["line1/a", "line1/a/b", "line1/\n", "line1/"], ["line1", "line2/a"]),
        ("a?", ["ab", "a/"], ["a", "abc"]),
        ("a?*", ["ab", "abc"], ["a", "b"]),
        ("*a?c*", ["abc", "xabcx", "aabc"], ["ac", "abx"]),
        ("a[1]", ["a[1]"], ["a1", "a2"]),
        ("*", ["a", "a/b", ""], []),
        ("ab*ba", ["abba", "abxba"], ["aba", "ab"]),
        ("a*b?c", ["axxbxc", "abbc"], ["abc", "ab/"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], not_matching: list[str]) -> None:
    """A pattern matches whole names, and always the group of exactly that name."""
    matches = PatternSet([pattern]).matches
    assert [name for name in [*matching, *not_matching] if matches(name)] == matching
    assert matches(pattern)


@settings(derandomize=True, deadline=None)
@given(patterns=st.lists(PATTERNS, max_size=4), name=NAMES)
def test_any_patterns(patterns: list[str], name: str) -> None:
    """A name matches a set of patterns if the regular expression of one of them matches it."""
    expected = any(re.match(translate(pattern), name) for pattern in patterns)
    assert PatternSet(patterns).matches(name) == expected


@settings(derandomize=True, deadline=None)
@given(pattern=PATTERNS, name=NAMES)
def test_literal_prefix(pattern: str, name: str) -> None:
    """Every name that matches a pattern begins with its literal prefix."""
    if PatternSet([pattern]).matches(name):
        assert name.startswith(literal_prefix(pattern))


def test_long_pattern() -> None:
    """A pattern with wildcards has a limit, a name has none."""
    assert check_pattern("a" * 1000) == "a" * 1000
    assert check_pattern("*" * MAX_PATTERN_LENGTH)
    with pytest.raises(ValueError, match="at most 256 characters, not 257"):
        check_pattern("*" * (MAX_PATTERN_LENGTH + 1))


class CountingName(str):
    """A name that counts how many of its characters are read."""

    __slots__ = ("read_count",)

    def __iter__(self) -> Iterator[str]:
        self.read_count = 0
        for character in super().__iter__():
            self.read_count += 1
            yield character


@pytest.mark.parametrize("middle", ["a?" * 126, "*a" * 126, "a" * 252, "?*" * 100 + "a?b", "a*?" * 80])
def test_reads_each_character_once(middle: str) -> None:
    """No pattern reads a character of a name twice, so the time can't grow beyond the name's length."""
    name = CountingName("a" * 1000)
    PatternSet([f"*{middle}*b?"]).matches(name)
    assert name.read_count <= len(name)
