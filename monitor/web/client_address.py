"""Whose connection or request it is: what limits for one client are counted by."""

from ipaddress import IPv6Address, ip_address, ip_network

__all__ = ["client_key"]

# A household or a machine is given a /64 and may use any address in it.
_IPV6_PREFIX = 64


def client_key(host: str | None) -> str:
    """Return an address, or the network of an IPv6 address, as one text for all that one client can use.

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
    return str(ip_network((address, _IPV6_PREFIX), strict=False)) if not address.is_loopback else str(address)
