"""The certificate of the HTTP server, read again when it was renewed."""

import logging
import ssl
from pathlib import Path

from monitor.config.secret_files import read_secret_file
from monitor.core.errors import ConfigurationError

__all__ = ["ServerCertificate", "load_context"]

_log = logging.getLogger("uvicorn.error")  # lines of the server's thread are throttled there


def load_context(certfile: Path, keyfile: Path | None) -> ssl.SSLContext:
    """Return a context with a certificate and its key.

    Raises
    ------
    ConfigurationError : a file can't be read, or certificate and key can't be used together.
    """
    for name, path in (("certfile", certfile), ("keyfile", keyfile)):
        if path is not None:
            read_secret_file(f"http.{name}", path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # An empty password makes OpenSSL refuse an encrypted key; with none it would ask on the terminal.
        context.load_cert_chain(certfile, keyfile, password="")
    except (OSError, ValueError) as error:
        files = f"http.certfile: {certfile}" + (f", http.keyfile: {keyfile}" if keyfile else "")
        raise ConfigurationError(
            f"{files} can't be used: {error}; expected a certificate and its key in PEM, unencrypted"
        ) from error
    return context


class ServerCertificate:
    """Holds the context that new connections use.

    A context is never changed, only replaced by one that could be loaded: between the renewal of the
    certificate and that of the key, connections go on with the old ones.

    Parameters
    ----------
    certfile : the certificate.
    keyfile : its key; None: `certfile` has it.

    Raises
    ------
    ConfigurationError : as `load_context`.
    """

    def __init__(self, certfile: Path, keyfile: Path | None) -> None:
        self._files = certfile, keyfile
        self.context = self.load()
        """For new connections. Any thread may read it."""

    def load(self) -> ssl.SSLContext:
        """Read the files again, and return a context with what they contain.

        Raises
        ------
        ConfigurationError : as `load_context`.
        """
        self._seen = self._versions()
        return load_context(*self._files)

    def reload_if_renewed(self) -> None:
        """Read the files again if they changed since they were read last; a failure is logged."""
        if self._versions() == self._seen:
            return
        try:
            self.context = self.load()
        except ConfigurationError as error:
            _log.error("the renewed certificate is not used, the former one stays: %s", error)
        else:
            _log.warning("the renewed certificate %s is used from now on", self._files[0])

    def _versions(self) -> list[tuple[int, int, int] | None]:
        """Return what changes when a file is written or replaced; None for a file that isn't there."""
        versions: list[tuple[int, int, int] | None] = []
        for path in self._files:
            try:
                status = path.stat() if path else None
            except OSError:
                status = None
            versions.append((status.st_mtime_ns, status.st_size, status.st_ino) if status else None)
        return versions
