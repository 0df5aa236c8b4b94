"""The login and the TLS files of a session, read anew for each attempt to connect."""

import ssl
from typing import Any, Self

import paho.mqtt.client as paho

from monitor.config.mqtt_settings import MqttSettings
from monitor.config.secrets import read_password
from monitor.core.errors import ConfigurationError
from monitor.mqtt.tls import build_context

__all__ = ["Credentials", "check_credentials"]


class _UnusableCredentialsError(OSError):
    """A file that can't be used now. An `OSError`, so that paho reports a failed attempt and tries again."""


class Credentials:
    """Gives paho's clients the password, CA, certificate and key as the files have them at each attempt.

    So a renewed one is used from the next connection on, without a restart.

    Parameters
    ----------
    settings : the broker and how to log in. May be replaced: the next attempt uses the new ones.

    Raises
    ------
    ConfigurationError : a file can't be used. Later that is a failed attempt to connect.
    """

    def __init__(self, settings: MqttSettings) -> None:
        check_credentials(settings)
        self.settings = settings

    def attach(self, client: paho.Client) -> None:
        """Let a client read them before each attempt to connect."""
        tls_context = None
        if self.settings.tls.is_enabled:
            tls_context = _ReplaceableContext()
            client.tls_set_context(tls_context)
            client.tls_insecure_set(True)  # noqa: FBT003 - the context of the handshake verifies the host name

        def read(_: paho.Client, __: Any) -> None:
            try:
                self._read(client, tls_context)
            except ConfigurationError as error:
                raise _UnusableCredentialsError(str(error)) from error

        client.on_pre_connect = read

    def _read(self, client: paho.Client, tls_context: "_ReplaceableContext | None") -> None:
        settings = self.settings  # another thread may replace it
        client.username_pw_set(settings.username, read_password(settings))
        if tls_context is not None:
            tls_context.current = build_context(settings.tls)


class _ReplaceableContext(ssl.SSLContext):
    """Passes each handshake to the context in `current`.

    A client of paho takes a context only once, and a context never forgets a CA.
    """

    current: ssl.SSLContext

    def __new__(cls) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return self.current.wrap_socket(*args, **kwargs)


def check_credentials(settings: MqttSettings) -> None:
    """Read the password and the TLS files, and forget them.

    Raises
    ------
    ConfigurationError : one can't be used.
    """
    read_password(settings)
    if settings.tls.is_enabled:
        build_context(settings.tls)
