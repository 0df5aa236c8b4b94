"""Network addresses as people and URLs write them."""

from ipaddress import ip_address

__all__ = ["format_address", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Return whether what is sent to a host stays on this machine; a name other than localhost does not."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def format_address(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
