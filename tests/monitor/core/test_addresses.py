import pytest

from monitor.core.addresses import format_address


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("127.0.0.1", "127.0.0.1:1883"),
        ("broker", "broker:1883"),
        ("::1", "[::1]:1883"),
        ("fe80::1%eth0", "[fe80::1%eth0]:1883"),
        ("[::1]", "[::1]:1883"),
    ],
)
def test_brackets(host: str, text: str) -> None:
    """An IPv6 address stands in brackets before its port, and no other address does."""
    assert format_address(host, 1883) == text
