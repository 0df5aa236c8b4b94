"""Whose connection or request it is: what limits for one client are counted by."""

from ipaddress import IPv6Address, ip_address, ip_network

__all__ = ["client_key"]

# A machine on the internet is given a /64 at least, and may use any address in it.
_IPV6_PREFIX = 64


def client_key(host: str | None) -> str:
    """Return an address, or the network of a public IPv6 address: what one client can use.

    Headers such as X-Forwarded-For are not read: a client may write into them what it likes. So all clients
    of a proxy count as one.
    """
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return host or ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    if not address.is_global:  # of a plant's own network: the machines in it share one /64
        return str(address)
    return str(ip_network((address, _IPV6_PREFIX), strict=False))
