"""Reads secrets from the settings or from the files that the settings name."""

from pathlib import Path

from monitor.config.http_settings import HttpSettings
from monitor.config.mqtt_settings import MqttSettings
from monitor.config.validators import check_token
from monitor.core.errors import ConfigurationError

__all__ = ["read_password", "read_token"]


def read_password(mqtt: MqttSettings) -> str | None:
    """Return the password for the broker, from the settings or from `password_file`; None if there is none.

    Raises
    ------
    ConfigurationError : the file can't be read, or is empty.
    """
    if mqtt.password_file is None:
        return mqtt.password.get_secret_value() if mqtt.password else None
    text = _read_secret("mqtt.password_file", mqtt.password_file)
    if not text:
        raise ConfigurationError(f"mqtt.password_file: {mqtt.password_file} is empty; expected a password")
    return text


def read_token(http: HttpSettings) -> str | None:
    """Return the token for HTTP requests, from the settings or from `token_file`; None if there is none.

    Raises
    ------
    ConfigurationError : the file can't be read, or its content is not a valid token.
    """
    if http.token_file is None:
        return http.token.get_secret_value() if http.token else None
    try:
        return check_token(_read_secret("http.token_file", http.token_file))
    except ValueError as error:
        raise ConfigurationError(f"http.token_file: {http.token_file}: the token {error}") from None


def _read_secret(name: str, file: Path) -> str:
    """Return the content of a file without its last newline."""
    try:
        return file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigurationError(f"{name}: {file} can't be read: {reason}") from error
