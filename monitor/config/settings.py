"""The settings with their types, defaults and rules. `monitor.config.loading` reads them.

Docstrings of sections and settings say what a value means; `config/monitor.toml` has the text for users.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from monitor.config.feature_settings import FeatureSettings, check_features
from monitor.config.http_settings import HttpSettings
from monitor.config.source_settings import AlignSettings, SourceSettings
from monitor.config.validators import (
    validate_host,
    validate_output_topic,
    validate_path,
    validate_printable,
    validate_publish_qos,
    validate_qos,
    validate_template,
)
from monitor.core.paths import PLANT_BUNDLE
from monitor.core.readings import MAX_VALUE
from monitor.core.rules import DEFAULT_ALERT_RULES, DEFAULT_CHECK_RULES, DEFAULT_MAX_SKEW, DEFAULT_STRIDE
from monitor.core.topics import Template, topic_filters

__all__ = [
    "AlertOverride",
    "AlertSettings",
    "CheckOverride",
    "CheckSettings",
    "HomeAssistantSettings",
    "InputSettings",
    "LogSettings",
    "MqttSettings",
    "Settings",
    "StoreSettings",
    "TlsSettings",
    "WindowSettings",
]

Port = Annotated[int, Ge(1), Le(65535)]
Seconds = Annotated[float, Gt(0), Le(1e9)]
SecondsOrZero = Annotated[float, Ge(0), Le(1e9)]
Count = Annotated[int, Ge(1), Le(1_000_000)]
Score = Annotated[float, Gt(0), Le(1)]
Sentinel = Annotated[float, Ge(-MAX_VALUE), Le(MAX_VALUE)]


def _parse_bundle(value: Any) -> Any:
    return None if value == "" else value


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
    def _check_client_ids(self) -> Self:
        ids = [text for text in (self.client_id, self.publish_client_id, self.probe_client_id) if text]
        if len(set(ids)) < len(ids):
            raise ValueError(
                "client_id, publish_client_id and probe_client_id must differ: of two connections with one "
                f"id a broker disconnects the first, and they are {', '.join(map(repr, ids))}"
            )
        return self


class InputSettings(_Section):
    """The topics of the readings, and where their values are in the payload."""

    topics: Annotated[
        tuple[Annotated[str, AfterValidator(validate_template)], ...], Field(min_length=1, max_length=100)
    ] = ("plant/{line}/{station}/reading",)
    """Templates: `{name}` matches one level; the matched levels, joined by `/`, are the group's name."""
    fields: dict[str, str] = {}
    """Feature (or `ts`) -> dotted path in the payload; default: the feature's own name."""
    sources: tuple[SourceSettings, ...] = Field(default=(), max_length=10_000)
    """Messages of any other kind, in place of `topics` and `fields`."""
    align: AlignSettings = AlignSettings()
    groups: tuple[Annotated[str, AfterValidator(validate_output_topic)], ...] = ()
    """Expected groups: they are `silent` after `stale_after` even if they never sent a reading."""
    max_groups: Count = 100_000
    """Groups in memory; if there are more, the groups with the oldest readings are only in the store."""
    forget_after: SecondsOrZero = 0.0
    """Seconds without a reading after which a silent group without open incident is forgotten; 0: never."""

    @property
    def all_topics(self) -> tuple[str, ...]:
        """The templates in use: those of the sources if there are any, else `topics`."""
        return tuple(dict.fromkeys(source.topic for source in self.sources)) or self.topics

    @property
    def filters(self) -> tuple[str, ...]:
        """The topic filters to subscribe to."""
        templates = [template for source in self.sources for template in source.templates]
        return topic_filters(templates or [Template(text) for text in self.topics])

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        default_topics = type(self).model_fields["topics"].default
        if self.sources and (self.fields or self.topics != default_topics):
            raise ValueError("sources must not be set beside topics and fields, which are their short form")
        return self


class WindowSettings(_Section):
    """How readings become windows."""

    stride: Count = DEFAULT_STRIDE
    """Every stride-th window is judged; 1: every window."""
    max_gap: Seconds | None = None
    """Seconds between readings beyond which a window restarts; None: the bundle's sample period x 3."""
    max_skew: Seconds = DEFAULT_MAX_SKEW
    """Seconds by which a reading's event time may be ahead of the clock."""
    stale_after: Seconds | None = None
    """Seconds without a reading after which a group is silent; None: 60, but at least `max_gap` and one
    sample period of the bundle."""


class AlertOverride(_Section):
    """Alert settings for the groups that match a pattern; None: the value in `AlertSettings`."""

    groups: Annotated[str, AfterValidator(validate_printable)] = Field(min_length=1)
    """Pattern of group names: `*` stands for any characters, slashes too."""
    raise_after: Count | None = None
    clear_after: Count | None = None
    clear_below: Score | None = None
    min_interval: SecondsOrZero | None = None
    renotify_after: SecondsOrZero | None = None


class AlertSettings(_Section):
    """How scores become alerts."""

    mode: Literal["lifecycle", "every_window"] = "lifecycle"
    """"lifecycle": events at the start and end of an incident; "every_window": one event per Faulty
    window."""
    raise_after: Count = DEFAULT_ALERT_RULES.raise_after
    """Consecutive Faulty windows that begin an incident."""
    clear_after: Count = DEFAULT_ALERT_RULES.clear_after
    """Consecutive Normal windows that end an incident."""
    clear_below: Score | None = DEFAULT_ALERT_RULES.clear_below
    """Only Normal windows with a score below this count for `clear_after`; None: all do."""
    min_interval: SecondsOrZero = DEFAULT_ALERT_RULES.min_interval
    """Seconds after an incident's end in which no other incident of its group is published."""
    renotify_after: SecondsOrZero = DEFAULT_ALERT_RULES.renotify_after
    """Seconds after which an incident that is still open is published again; 0: never."""
    rules: tuple[AlertOverride, ...] = ()
    """Settings for some groups; for each group, the first entry whose pattern matches applies."""
    false_alarms: Path = Path("var/false-alarms.csv")
    """CSV file to which the readings around false alarms are appended, labelled Normal."""


class CheckOverride(_Section):
    """Checks of the groups that match a pattern; None: as in `CheckSettings`."""

    groups: Annotated[str, AfterValidator(validate_printable)] = Field(min_length=1)
    """Pattern of group names: `*` stands for any characters, slashes too."""
    limits: bool | None = None
    flat: bool | None = None
    drift: bool | None = None


class CheckSettings(_Section):
    """Faults that are found without the model."""

    limits: bool = DEFAULT_CHECK_RULES.limits
    """Values that their sensors can't have are Faulty."""
    flat: bool = DEFAULT_CHECK_RULES.flat
    """A sensor that stands still while its neighbours move is Faulty."""
    drift: bool = DEFAULT_CHECK_RULES.drift
    """A sensor that leaves its neighbours over days is Faulty."""
    sentinels: dict[str, tuple[Sentinel, ...]] = {}
    """Numbers that a feature's sensor sends in place of a value; `limits` finds them."""
    rules: tuple[CheckOverride, ...] = ()
    """Checks of some groups; for each group, the first entry whose pattern matches applies."""


class StoreSettings(_Section):
    """The database that keeps windows, incidents and unsent alerts when the process ends."""

    path: Path = Path("var/state.db")
    sync: Literal["normal", "full"] = "normal"
    """SQLite's `synchronous`: with "full" each commit waits for the disk and survives a power failure."""


class HomeAssistantSettings(_Section):
    """MQTT discovery: each group appears in Home Assistant without configuration there."""

    discovery: bool = False
    discovery_prefix: Annotated[str, AfterValidator(validate_output_topic)] = "homeassistant"


class LogSettings(_Section):
    """The log on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(_Section):
    """All settings of the monitor; `monitor.config.loading.load_settings` merges them from all sources."""

    bundle: Annotated[Path | None, BeforeValidator(_parse_bundle)] = PLANT_BUNDLE
    """The folder to load; None ("" in the file): the bundle that comes with the monitor."""
    features: tuple[FeatureSettings, ...] = Field(default=(), max_length=64)
    """The values of a reading; empty: those of the bundle."""
    mqtt: MqttSettings = MqttSettings()
    input: InputSettings = InputSettings()
    windows: WindowSettings = WindowSettings()
    checks: CheckSettings = CheckSettings()
    alerts: AlertSettings = AlertSettings()
    store: StoreSettings = StoreSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _check_features(self) -> Self:
        if self.features:
            try:
                check_features(self.features)
            except ValueError as error:
                raise ValueError(f"features: {error}") from error
        return self
