"""Reads secrets from the settings or from the files that the settings name."""

from pathlib import Path

from monitor.config.http_settings import HttpSettings
from monitor.config.mqtt_settings import MqttSettings
from monitor.config.secret_files import read_secret_file
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
    is_for_publishing = mqtt.publish_username is None and mqtt.publish_password_file is not None
    name = "mqtt.publish_password_file" if is_for_publishing else "mqtt.password_file"
    text = _read_secret(name, mqtt.password_file)
    if not text:
        raise ConfigurationError(f"{name}: {mqtt.password_file} is empty; expected a password")
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
        return read_secret_file(name, file).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name}: {file} can't be read: not UTF-8 text") from error
