"""Tells whether the certificates in a PEM file are valid now, for messages to people."""

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

from monitor.config.secret_files import read_secret_file
from monitor.core.errors import ConfigurationError
from monitor.core.times import format_iso

__all__ = ["date_problem"]

_PEM_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# Tags of ASN.1 elements in a certificate (RFC 5280).
_EXPLICIT_VERSION, _UTC_TIME = 0xA0, 0x17
_LONG_LENGTH_BIT = 0x80
_FIELDS_BEFORE_VALIDITY = 3  # serialNumber, signature, issuer
_UTC_TIME_YEAR_DIGITS = 2


def date_problem(path: Path, now: float) -> str:
    """Return which date makes a certificate of a PEM file invalid at `now` (seconds since the Unix epoch).

    Returns "" if all are valid, and if the file holds nothing that can be read: OpenSSL reports that better.
    """
    try:
        validities = [
            _read_validity(ssl.PEM_cert_to_DER_cert(pem))
            for pem in _PEM_CERTIFICATE.findall(read_secret_file("mqtt.tls", path).decode())
        ]
    except (ConfigurationError, ValueError, IndexError):
        return ""
    for not_before, not_after in validities:
        if now > not_after:
            return f"{path} expired on {format_iso(not_after)}"
        if now < not_before:
            return f"{path} is not valid before {format_iso(not_before)}"
    return ""


def _read_validity(der: bytes) -> tuple[float, float]:
    """Return from when until when a certificate is valid, in seconds since the Unix epoch.

    The standard library decodes only the certificate of a peer, and only one that it accepted.
    """
    _, start, _ = _read_element(der, 0)  # Certificate
    _, position, _ = _read_element(der, start)  # TBSCertificate
    tag, _, end = _read_element(der, position)
    if tag == _EXPLICIT_VERSION:
        position = end
    for _ in range(_FIELDS_BEFORE_VALIDITY):
        position = _read_element(der, position)[2]
    _, position, _ = _read_element(der, position)  # Validity
    not_before = _read_element(der, position)
    not_after = _read_element(der, not_before[2])
    return _parse_time(der, *not_before), _parse_time(der, *not_after)


def _read_element(der: bytes, position: int) -> tuple[int, int, int]:
    """Return an element's tag, and where its content begins and ends."""
    tag, length, start = der[position], der[position + 1], position + 2
    if length & _LONG_LENGTH_BIT:
        size = length & ~_LONG_LENGTH_BIT
        length, start = int.from_bytes(der[start : start + size]), start + size
    return tag, start, start + length


def _parse_time(der: bytes, tag: int, start: int, end: int) -> float:
    text = der[start:end].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 to 99 are of the last century
        text = f"{'19' if text[:_UTC_TIME_YEAR_DIGITS] >= '50' else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
