"""The settings of the broker: address, client ids, logins, TLS, and what it takes."""

from pathlib import Path
from typing import Annotated, Literal, Self

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from monitor.config.validators import (
    validate_host,
    validate_output_topic,
    validate_path,
    validate_printable,
    validate_publish_qos,
    validate_qos,
)

__all__ = ["MqttSettings", "TlsSettings"]

Port = Annotated[int, Ge(1), Le(65535)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class TlsSettings(_Section):
    """TLS to the broker: used when `enabled` is true, or `ca_file` or `certfile` is given."""

    enabled: bool = False
    ca_file: Path | None = None
    """Certificates of the authorities to trust; None: the certificates of the system."""
    certfile: Path | None = None
    """The client's certificate."""
    keyfile: Path | None = None
    """The private key of the client's certificate; None: `certfile` contains the key."""
    insecure: bool = False
    """Whether any certificate of the broker is accepted, unverified."""

    @property
    def is_enabled(self) -> bool:
        """Whether the connection is encrypted."""
        return self.enabled or self.ca_file is not None or self.certfile is not None

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.keyfile is not None and self.certfile is None:
            raise ValueError("a keyfile needs a certfile")
        if self.insecure and not self.is_enabled:
            raise ValueError("insecure needs enabled = true: without encryption there is no certificate")
        return self


class MqttSettings(_Section):
    """The broker, and how to connect to it."""

    host: Annotated[str, AfterValidator(validate_host)] = "127.0.0.1"
    port: Port = 1883
    transport: Literal["tcp", "websockets"] = "tcp"
    path: Annotated[str, AfterValidator(validate_path)] = "/mqtt"
    """URL path of the broker's websockets."""
    version: Literal["auto", "5", "3.1.1"] = "auto"
    """"auto": 5, or 3.1.1 if the broker doesn't support 5."""
    client_id: Annotated[str, AfterValidator(validate_printable)] = Field(default="", max_length=200)
    """"": `<base_topic>-<hostname>`."""
    publish_client_id: Annotated[str, AfterValidator(validate_printable)] = Field(default="", max_length=200)
    """Of the connection that alerts and states go out by; "": `<client_id>-out`."""
    probe_client_id: Annotated[str, AfterValidator(validate_printable)] = Field(default="", max_length=200)
    """Of the connection that asks for the version where `version` is "auto"; "": `<client_id>-version`."""
    connections: Annotated[int, Ge(1), Le(2)] = 2
    """2: one for input and one for output; 1: one for both, on which alerts wait behind readings."""
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    publish_username: str | None = None
    """Login of the connection for alerts and states, and of the version probe; None: `username`.
    For brokers that take logins for client ids."""
    publish_password_file: Path | None = None
    tls: TlsSettings = TlsSettings()
    keepalive: Annotated[int, Ge(5), Le(65535)] = 30
    """Seconds without traffic after which the client sends a PINGREQ."""
    qos: Annotated[int, AfterValidator(validate_qos)] = 1
    """QoS of the subscriptions, and of the readings that `replay` publishes."""
    publish_qos: Annotated[int, AfterValidator(validate_publish_qos)] = 1
    """Of what the monitor publishes; 0 for brokers without QoS 1. A broker's Maximum QoS may lower it."""
    will_qos: Annotated[int, AfterValidator(validate_publish_qos)] = 1
    """Of the will, never above `publish_qos`."""
    retain: bool = True
    """Whether will, status, info, states and discovery are retained; False for brokers that refuse that."""
    bulk: bool = True
    """Whether readings are read from the socket many at a time, bypassing paho; never with websockets."""
    base_topic: Annotated[str, AfterValidator(validate_output_topic)] = "sensor-monitor"
    """The topic below which the monitor publishes."""

    @model_validator(mode="after")
    def _check_password_source(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file must not both be set")
        if (self.password or self.password_file) and self.username is None:
            raise ValueError("a password needs a username")
        return self

    @model_validator(mode="after")
    def _check_publish_login(self) -> Self:
        if self.publish_password_file is not None and self.publish_username is None:
            raise ValueError("publish_password_file needs publish_username")
        if self.publish_username is not None and self.publish_username == self.username:
            raise ValueError(
                f"publish_username must differ from username, which is {self.username!r} too: without it "
                "both connections have this login"
            )
        if self.publish_username is not None and self.connections == 1:
            raise ValueError("publish_username needs connections = 2")
        return self

    @property
    def for_publishing(self) -> "MqttSettings":
        """These settings with the login of the connection that alerts and states go out by.

        They keep `publish_password_file`, which tells the name of the setting in errors.
        """
        if self.publish_username is None:
            return self
        login = {"username": self.publish_username, "password_file": self.publish_password_file}
        without = {"password": None, "publish_username": None}
        return self.model_copy(update=login | without)

    @model_validator(mode="after")
    def _check_client_ids(self) -> Self:
        ids = [text for text in (self.client_id, self.publish_client_id, self.probe_client_id) if text]
        if len(set(ids)) < len(ids):
            raise ValueError(
                "client_id, publish_client_id and probe_client_id must differ: of two connections with one "
                f"id a broker disconnects the first, and they are {', '.join(map(repr, ids))}"
            )
        return self
