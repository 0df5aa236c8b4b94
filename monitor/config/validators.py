"""Validators of single settings: each returns the value, or raises a ValueError with rule and value."""

import re

from pydantic import SecretStr

from monitor.core.patterns import check_pattern
from monitor.core.topics import Template

__all__ = [
    "check_token",
    "validate_host",
    "validate_host_name",
    "validate_output_topic",
    "validate_path",
    "validate_pattern",
    "validate_printable",
    "validate_publish_qos",
    "validate_qos",
    "validate_source_template",
    "validate_template",
    "validate_token",
]

_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
# 16 random letters and digits are about 95 bits: too many combinations to try.
_MIN_TOKEN_LENGTH = 16


def validate_template(text: str) -> str:
    """Check a template of `input.topics`, whose names make the group."""
    if not Template(text).names:
        raise ValueError(f"{text!r} must have at least one {{name}}: the names make the group")
    return text


def validate_source_template(text: str) -> str:
    """Check a template of `input.sources`, which may do without names."""
    Template(text)
    return text


def validate_output_topic(text: str) -> str:
    """Check a topic, or a topic prefix, that the monitor publishes on."""
    if (
        not text
        or not text.isprintable()
        or text.startswith(("/", "$"))
        or text.endswith("/")
        or any(mark in text for mark in "+#\0")
    ):
        raise ValueError(
            f"must be a topic without wildcards, control characters, '$' in front or a slash at either end, "
            f"not {text!r}"
        )
    return text


def validate_printable(text: str) -> str:
    """Check that a text contains no control characters."""
    if not text.isprintable():
        raise ValueError(f"must not hold control characters, as {text!r} does")
    return text


def validate_pattern(text: str) -> str:
    """Check a pattern of group names."""
    return check_pattern(validate_printable(text))


def validate_host(text: str) -> str:
    """Check a host name or an IP address; a URL is rejected."""
    if not text or not text.isprintable() or any(mark in text for mark in " /"):
        raise ValueError(f"must be a host name or an address, not {text!r}")
    return text


def validate_host_name(text: str) -> str:
    """Check a host name without a port; return it in lower case and without a dot at its end."""
    name = text.rstrip(".").lower()
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(f"must be a host name, without a port, not {text!r}")
    return name


def validate_path(text: str) -> str:
    """Check the path of a URL."""
    if not text.startswith("/") or not text.isprintable() or " " in text:
        raise ValueError(f"must begin with a slash and hold no spaces, not {text!r}")
    return text


def validate_qos(value: int) -> int:
    """Check an MQTT quality of service."""
    if value not in {0, 1, 2}:
        raise ValueError(f"must be 0, 1 or 2, not {value}")
    return value


def validate_publish_qos(value: int) -> int:
    """Check the quality of service of published messages: of QoS 2 nothing here makes use."""
    if value not in {0, 1}:
        raise ValueError(f"must be 0 or 1, not {value}")
    return value


def validate_token(secret: SecretStr) -> SecretStr:
    """Check a token that is given in the settings and not in a file."""
    return SecretStr(check_token(secret.get_secret_value()))


def check_token(text: str) -> str:
    """Check that a token is too long to be guessed and valid in an HTTP header; return the token.

    Raises
    ------
    ValueError : the token is too short or has invalid characters; the message doesn't contain the token.
    """
    if len(text) < _MIN_TOKEN_LENGTH or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(f"must have at least {_MIN_TOKEN_LENGTH} characters, of ASCII and without spaces")
    return text
