"""Settings: flags over environment over TOML file over default, checked before any socket opens."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from monitor.core.paths import PLANT_BUNDLE
from monitor.core.rules import DEFAULT_ALERT_RULES, WindowRules
from monitor.core.topics import Template

__all__ = [
    "AlertOverride",
    "AlertSettings",
    "FileSettings",
    "HomeAssistantSettings",
    "HttpSettings",
    "InputSettings",
    "LogSettings",
    "MqttSettings",
    "Settings",
    "StoreSettings",
    "TlsSettings",
    "WindowSettings",
    "check_token",
]

_DEFAULT_MAX_SKEW, _DEFAULT_STRIDE = WindowRules(max_gap=1).max_skew, WindowRules(max_gap=1).stride

Port = Annotated[int, Ge(1), Le(65535)]
Seconds = Annotated[float, Gt(0), Le(1e9)]
SecondsOrZero = Annotated[float, Ge(0), Le(1e9)]
Count = Annotated[int, Ge(1), Le(1_000_000)]
Score = Annotated[float, Gt(0), Le(1)]

# With 16 letters and digits drawn at random, there is nothing to gain by trying.
_MIN_TOKEN_LENGTH = 16


def _parse_bundle(value: Any) -> Any:
    return None if value == "" else value


def _validate_template(text: str) -> str:
    Template(text)
    return text


def _validate_output_topic(text: str) -> str:
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


def _validate_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"must not hold control characters, as {text!r} does")
    return text


def _validate_host(text: str) -> str:
    if not text or not text.isprintable() or any(mark in text for mark in " /"):
        raise ValueError(f"must be a host name or an address, not {text!r}")
    return text


def _validate_path(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or " " in text:
        raise ValueError(f"must begin with a slash and hold no spaces, not {text!r}")
    return text


def _validate_token(secret: SecretStr) -> SecretStr:
    return SecretStr(check_token(secret.get_secret_value()))


def check_token(text: str) -> str:
    """Return a token that nobody guesses and that every header can carry.

    Raises
    ------
    ValueError : it is another one; the text doesn't tell which.
    """
    if len(text) < _MIN_TOKEN_LENGTH or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(f"must have at least {_MIN_TOKEN_LENGTH} characters, of ASCII and without spaces")
    return text


def _validate_qos(value: int) -> int:
    if value not in {0, 1, 2}:
        raise ValueError(f"must be 0, 1 or 2, not {value}")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class TlsSettings(_Section):
    """Encryption to the broker; on when `ca_file` or `certfile` is given, or `enabled` is true."""

    enabled: bool = False
    ca_file: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = None
    insecure: bool = False
    """Whether the broker's certificate is taken for good whoever shows it."""

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
    """The broker, and how to be its client."""

    host: Annotated[str, AfterValidator(_validate_host)] = "127.0.0.1"
    port: Port = 1883
    transport: Literal["tcp", "websockets"] = "tcp"
    path: Annotated[str, AfterValidator(_validate_path)] = "/mqtt"
    """Where the broker answers websockets."""
    version: Literal["auto", "5", "3.1.1"] = "auto"
    client_id: Annotated[str, AfterValidator(_validate_printable)] = Field(default="", max_length=200)
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    tls: TlsSettings = TlsSettings()
    keepalive: Annotated[int, Ge(5), Le(65535)] = 30
    """Seconds of quiet until the connection is probed."""
    qos: Annotated[int, AfterValidator(_validate_qos)] = 1
    bulk: bool = True
    """Whether readings are taken off the connection many at a time, past paho; not with websockets."""
    base_topic: Annotated[str, AfterValidator(_validate_output_topic)] = "sensor-monitor"

    @model_validator(mode="after")
    def _check_password_source(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file must not both be set")
        if (self.password or self.password_file) and self.username is None:
            raise ValueError("a password needs a username")
        return self


class InputSettings(_Section):
    """Where readings come from and where their numbers stand in the payload."""

    topics: Annotated[
        tuple[Annotated[str, AfterValidator(_validate_template)], ...], Field(min_length=1, max_length=100)
    ] = ("plant/{line}/{station}/reading",)
    fields: dict[str, str] = {}
    """Feature (or `ts`) -> dotted path in the payload; what isn't named stands under its own name."""
    groups: tuple[Annotated[str, AfterValidator(_validate_output_topic)], ...] = ()
    """Groups that must speak: `silent` after `stale_after`, also where they never did."""
    max_groups: Count = 100_000
    """Groups that are held in memory; the least recently heard beyond it are set aside in the store."""


class WindowSettings(_Section):
    """How readings become windows."""

    stride: Count = _DEFAULT_STRIDE
    max_gap: Seconds | None = None
    """Seconds; None stands for 3 sample periods of the bundle."""
    max_skew: Seconds = _DEFAULT_MAX_SKEW
    """Seconds."""
    stale_after: Seconds = 60.0
    """Seconds."""


class AlertOverride(_Section):
    """Other alert settings for some groups; what isn't given is as for all."""

    groups: Annotated[str, AfterValidator(_validate_printable)] = Field(min_length=1)
    """Pattern of their names: `*` stands for any characters, slashes too."""
    raise_after: Count | None = None
    clear_after: Count | None = None
    clear_below: Score | None = None
    min_interval: SecondsOrZero | None = None
    renotify_after: SecondsOrZero | None = None


class AlertSettings(_Section):
    """How scores become alerts."""

    mode: Literal["lifecycle", "every_window"] = "lifecycle"
    raise_after: Count = DEFAULT_ALERT_RULES.raise_after
    """Consecutive Faulty windows that raise an alert."""
    clear_after: Count = DEFAULT_ALERT_RULES.clear_after
    """Consecutive Normal windows that resolve it."""
    clear_below: Score | None = DEFAULT_ALERT_RULES.clear_below
    """A window counts towards that only with a score below this; None: each Normal one does."""
    min_interval: SecondsOrZero = DEFAULT_ALERT_RULES.min_interval
    """Seconds after an incident in which its group begins no other."""
    renotify_after: SecondsOrZero = DEFAULT_ALERT_RULES.renotify_after
    """Seconds after which an incident that goes on is published again; 0: never."""
    rules: tuple[AlertOverride, ...] = ()
    """The first whose pattern fits a group decides for it."""
    false_alarms: Path = Path("var/false-alarms.csv")
    """Where windows of incidents that were none are appended, labelled Normal."""


class StoreSettings(_Section):
    """Where windows, incidents and unsent alerts outlive the process."""

    path: Path = Path("var/state.db")
    sync: Literal["normal", "full"] = "normal"
    """Whether each commit waits for the disk, so that it outlives a power cut too."""


class HomeAssistantSettings(_Section):
    """Whether Home Assistant is told of each group, so that it needs no settings for them."""

    discovery: bool = False
    discovery_prefix: Annotated[str, AfterValidator(_validate_output_topic)] = "homeassistant"


class HttpSettings(_Section):
    """The server of /metrics, /livez, /readyz and the page."""

    host: Annotated[str, AfterValidator(_validate_host)] = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65535)] = 9108
    """0: any free port; the log says which."""
    token: Annotated[SecretStr, AfterValidator(_validate_token)] | None = None
    """What one has to know to read anything but /livez and /readyz."""
    token_file: Path | None = None

    @model_validator(mode="after")
    def _check_token_source(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file must not both be set")
        return self


class LogSettings(_Section):
    """What the log looks like."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class FileSettings(_Section):
    """All that may stand in the TOML file."""

    bundle: Annotated[Path | None, BeforeValidator(_parse_bundle)] = PLANT_BUNDLE
    """The folder to load; None, "" in the file, is the one that comes with the monitor."""
    mqtt: MqttSettings = MqttSettings()
    input: InputSettings = InputSettings()
    windows: WindowSettings = WindowSettings()
    alerts: AlertSettings = AlertSettings()
    store: StoreSettings = StoreSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()


class Settings(FileSettings, BaseSettings):
    """The settings as the daemon uses them, merged from all sources; see `configuration.load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="MONITOR_", env_nested_delimiter="__", env_ignore_empty=False
    )
