import pytest

from monitor.web.client_address import client_key


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2a00:1450:1:2:3::4", "2a00:1450:1:2::/64"),
        ("2a00:1450:1:2:ffff::1", "2a00:1450:1:2::/64"),
        ("fd12::1", "fd12::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_client_key(address: str | None, key: str) -> None:
    """All addresses of one client are one: of public IPv6, the network that it is given."""
    assert client_key(address) == key
