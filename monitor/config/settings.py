"""The settings with their types, defaults and rules. `monitor.config.loading` reads them.

Docstrings of sections and settings say what a value means; `config/monitor.toml` has the text for users.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from monitor.config.feature_settings import FeatureSettings, check_features
from monitor.config.http_settings import HttpSettings
from monitor.config.mqtt_settings import MqttSettings
from monitor.config.operator_settings import OperatorSettings
from monitor.config.source_settings import AlignSettings, SourceSettings
from monitor.config.validators import (
    validate_output_topic,
    validate_pattern,
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
    "Settings",
    "StoreSettings",
    "WindowSettings",
]

Seconds = Annotated[float, Gt(0), Le(1e9)]
SecondsOrZero = Annotated[float, Ge(0), Le(1e9)]
Count = Annotated[int, Ge(1), Le(1_000_000)]
Score = Annotated[float, Gt(0), Le(1)]
Sentinel = Annotated[float, Ge(-MAX_VALUE), Le(MAX_VALUE)]


def _parse_bundle(value: Any) -> Any:
    return None if value == "" else value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


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

    groups: Annotated[str, AfterValidator(validate_pattern)] = Field(min_length=1)
    """Pattern of group names: `*` stands for any characters, slashes too, `?` for one."""
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

    groups: Annotated[str, AfterValidator(validate_pattern)] = Field(min_length=1)
    """Pattern of group names: `*` stands for any characters, slashes too, `?` for one."""
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
    operators: OperatorSettings = OperatorSettings()
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
