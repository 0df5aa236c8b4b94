"""Reads files that hold a secret or a certificate."""

import os
import stat
from pathlib import Path

from monitor.core.errors import ConfigurationError

__all__ = ["read_secret_file"]

# A bundle of all public CAs has 0.25 MiB.
_MAX_BYTES = 1 << 20


def read_secret_file(name: str, path: Path) -> bytes:
    """Return the content of a regular file, or of one that a link leads to; a pipe would have no end.

    Parameters
    ----------
    name : the setting that has the path, for messages.

    Raises
    ------
    ConfigurationError : it can't be read, is no regular file, or is larger than 1 MiB.
    """
    try:
        # O_NONBLOCK: to open a pipe would wait for who writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigurationError(f"{name}: {path} is no regular file; expected one")
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{name}: {path} can't be read: {error.strerror}; expected a file"
        ) from error
    if len(content) > _MAX_BYTES:
        raise ConfigurationError(f"{name}: {path} has more than 1 MiB; expected a secret or a certificate")
    return content
