import pytest

from monitor.core.printable import printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("line1/a é °C µg", "line1/a é °C µg"),
        ("\x1b[2J\x9b\x07", r"\x1b[2J\x9b\x07"),
        ("a\nb\r\t\x85\u2028", r"a\nb\r\t\x85\u2028"),
        ("\u202e\u2066\u200b\U000e0041\ud800", r"\u202e\u2066\u200b\U000e0041\ud800"),
        ("a\\x1b", "a\\x1b"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    """What can be printed stays as it is, and the rest is shown as escapes."""
    assert printable(text) == shown
    assert printable(text).isprintable()


def test_lines() -> None:
    """A text of several lines keeps them."""
    assert printable_lines("a\x1b\nb\r\n") == "a\\x1b\nb\\r\n"
