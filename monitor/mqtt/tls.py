"""TLS for the connection to the broker."""

import ssl

from monitor.config.mqtt_settings import TlsSettings
from monitor.config.secret_files import read_secret_file
from monitor.core.errors import ConfigurationError

__all__ = ["build_context"]


class _ClosingSSLSocket(ssl.SSLSocket):
    """Closes itself if the handshake fails: paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002, as in the standard library
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def build_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return a context that verifies the broker's certificate, unless `tls.insecure`.

    Raises
    ------
    ConfigurationError : a certificate or key can't be used.
    """
    for name in ("ca_file", "certfile", "keyfile"):
        path = getattr(tls, name)
        if path is not None:
            read_secret_file(f"mqtt.tls.{name}", path)
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.certfile is not None:
            # An empty password makes OpenSSL refuse an encrypted key; with none it would ask on the terminal.
            context.load_cert_chain(tls.certfile, tls.keyfile, password="")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"mqtt.tls: a certificate or key can't be used: {error}") from error
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = _ClosingSSLSocket
    return context
