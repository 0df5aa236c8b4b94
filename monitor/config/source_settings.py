"""The settings of sources, and of the alignment of their values.

Docstrings say what a value means; `config/monitor.toml` has the text for users.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from monitor.config.validators import validate_output_topic, validate_source_template
from monitor.core.sparkplug_topics import check_data_template, message_templates
from monitor.core.topics import FEATURE_NAME, Template

__all__ = ["AlignSettings", "FeatureSettings", "SourceSettings"]

Seconds = Annotated[float, Gt(0), Le(1e9)]
PathSetting = str | tuple[str | int, ...]
Scalar = bool | int | float | str
# Finite, and large enough for integers times 1,000 or a raw value of a converter.
Factor = Annotated[float, Ge(-1e9), Le(1e9)]

# What the setting `group` begins with where it is a path.
_PAYLOAD_PREFIX = "$."
# Formats whose messages consist of records that name what they hold: key, value, ts of a record.
_KEYED_FORMATS: dict[str, tuple[str, str, str]] = {
    "senml": ("n", "v", "t"),
    "sparkplug": ("name", "value", "timestamp"),
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def _validate_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"must be a zone of the IANA database, such as Europe/Berlin, not {name!r}; "
            "if it is one, this machine lacks the package tzdata"
        ) from None
    return name


def _validate_group(text: str) -> str:
    if text == _PAYLOAD_PREFIX:
        raise ValueError(f"must have a path behind {text!r}")
    return text if not text or text.startswith(_PAYLOAD_PREFIX) else validate_output_topic(text)


def _validate_factor(value: float) -> float:
    if value == 0:
        raise ValueError("must not be 0: every value would be the offset")
    return value


def _validate_path(path: PathSetting) -> PathSetting:
    if not path:
        raise ValueError("must not be empty")
    return path


def _validate_ts_format(text: str) -> str:
    moment = datetime(2026, 11, 29, 14, 5, tzinfo=UTC)
    try:
        datetime.strptime(moment.strftime(text), text)  # noqa: DTZ007, only tried
    except ValueError as error:
        raise ValueError(f"must be a format of strptime, such as '%d.%m.%Y %H:%M:%S': {error}") from None
    return text


def _to_table(setting: Any) -> Any:
    """Return a feature's setting as a table, also if it is a path alone."""
    return _freeze({"path": setting} if isinstance(setting, str | list | tuple) else setting)


def _freeze(value: Any) -> Any:
    """Return a value with tuples for its lists, as strict validation of Python's objects takes no list."""
    if isinstance(value, dict):
        return {key: _freeze(item) for key, item in value.items()}
    return tuple(map(_freeze, value)) if isinstance(value, list) else value


class FeatureSettings(_Section):
    """Where the value of one feature is, and how it is converted."""

    path: Annotated[PathSetting, AfterValidator(_validate_path)] | None = None
    """Path in a record, or the name at `key` or in the topic; None: the feature's own name."""
    scale: Annotated[Factor, AfterValidator(_validate_factor)] = 1.0
    offset: Factor = 0.0
    """The value is scale x number + offset."""
    good: dict[str, Scalar | tuple[Scalar, ...]] = {}
    """As in `SourceSettings`, for this feature only."""


class SourceSettings(_Section):
    """Messages with values: their topics and format, and where in them the values are."""

    topic: Annotated[str, AfterValidator(validate_source_template)]
    """Template: `{name}` stands for a level or a part of one; the names make the group."""
    format: Literal[
        "json", "number", "records", "senml", "sparkplug", "msgpack", "cbor", "influx", "ruuvi"
    ] = "json"
    features: dict[str, Annotated[FeatureSettings, BeforeValidator(_to_table)]] = {}
    """Feature -> path in a record, or its name at `key` or at `{feature}` in the topic."""
    feature: str = ""
    """The feature, for a source that has one only; "": `features`, or a `{feature}` in the topic."""
    group: Annotated[str, AfterValidator(_validate_group)] = ""
    """A constant, or `$.path` in a record or the payload; "": the names of the topic."""
    records: PathSetting | None = None
    """Where the array of records is; `{name}` stands for any key, and becomes a part of the group."""
    key: PathSetting | None = None
    """Where a record names what it holds."""
    value: PathSetting | None = None
    """Where the value is, in records with a `key` and in messages of one feature; None: `value`."""
    ts: PathSetting | None = None
    """Where the event time is; None: `ts`, or where the format has it; "": it has none."""
    ts_unit: Literal["s", "ms", "us", "ns"] | None = None
    """Of event times that are numbers; None: told by their size."""
    ts_format: Annotated[str, AfterValidator(_validate_ts_format)] = ""
    """For `strptime`, of event times that are text; "": ISO 8601."""
    zone: Annotated[str, AfterValidator(_validate_zone)] = "UTC"
    """Of event times without a zone."""
    where: dict[str, Scalar | tuple[Scalar, ...]] = {}
    """Path in a record -> what must be there, else the record is not of this source; "missing" as in
    `good`."""
    good: dict[str, Scalar | tuple[Scalar, ...]] = {}
    """Path in a record -> what must be there, else its values are absent; "missing" accepts nothing there."""
    absent: tuple[str, ...] = ()
    """Texts by which a sensor says that it has no value."""
    numbers: Literal["number", "text"] = "number"
    """"text": numbers may be in quotes."""
    partial: bool = False
    """Whether messages may lack features; a null then says nothing either."""
    max_age: Seconds | None = None
    """Seconds that a value holds; None: `AlignSettings.max_age`."""

    @property
    def templates(self) -> tuple[Template, ...]:
        """The templates of all messages that the source reads: with Sparkplug B, births and deaths too."""
        template = Template(self.topic)
        return message_templates(template) if self.format == "sparkplug" else (template,)

    @property
    def group_path(self) -> str:
        """Dotted path of the group in a record or in the payload; "" if these don't name it."""
        return self.group.removeprefix(_PAYLOAD_PREFIX) if self.group.startswith(_PAYLOAD_PREFIX) else ""

    @property
    def gateway_templates(self) -> tuple[Template, ...]:
        """Those of `templates` on whose topics messages of several groups may come."""
        return tuple(
            template
            for template in self.templates
            if self.group or {*template.names, FEATURE_NAME} != {*self.group_names, FEATURE_NAME}
        )

    @property
    def topic_names_feature(self) -> bool:
        """Whether the topic says which feature its values are of."""
        return FEATURE_NAME in Template(self.topic).names

    @property
    def record_paths(self) -> tuple[PathSetting | None, PathSetting, PathSetting]:
        """Paths of the name, of the value and of the event time in a record; no name: None."""
        default_key, default_value, default_ts = _KEYED_FORMATS.get(self.format, (None, "value", "ts"))
        if self.format == "influx":
            default_ts = "timestamp"
        elif self.format == "number":
            default_ts = ""
        return (
            self.key if self.key is not None else default_key,
            self.value if self.value is not None else default_value,
            self.ts if self.ts is not None else default_ts,
        )

    @property
    def group_names(self) -> tuple[str, ...]:
        """The names in topic and records that make the group, where neither a constant nor a path does."""
        parts = self.records.split(".") if isinstance(self.records, str) else self.records or ()
        record_names = [str(part) for part in parts if str(part).startswith("{")]
        return (*(name for name in Template(self.topic).names if name != FEATURE_NAME), *record_names)

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        names_feature = self.topic_names_feature
        if not (self.group or self.group_names):
            raise ValueError("a source without names in topic or records needs group")
        if self.feature and (names_feature or self.key is not None):
            raise ValueError("feature must not be given where topic or records name the feature")
        if self.feature and any(
            name != self.feature or setting.path is not None for name, setting in self.features.items()
        ):
            raise ValueError("features beside feature must have scale, offset and good of that feature only")
        if self.format == "records" and self.key is None:
            raise ValueError('the format "records" needs key: where a record names what it holds')
        if self.format == "number" and not (self.feature or names_feature):
            raise ValueError('the format "number" needs feature, or {feature} in topic')
        if self.format == "number" and (self.records is not None or self.key is not None or self.ts):
            raise ValueError('the format "number" has no records, key or ts: a payload is one number')
        if self.value is not None and not (self.feature or names_feature or self.record_paths[0] is not None):
            raise ValueError("value is for records with a key, and for one feature; expected features")
        if self.ts_format and self.ts_unit:
            raise ValueError("ts_format is for text and ts_unit for numbers; expected one of them")
        if self.format == "sparkplug":
            self._check_sparkplug()
        return self

    def _check_sparkplug(self) -> None:
        check_data_template(Template(self.topic))
        fixed = ("feature", "records", "key", "value", "ts", "partial")
        given = [name for name in fixed if getattr(self, name) != type(self).model_fields[name].default]
        if given or self.topic_names_feature:
            raise ValueError(
                'the format "sparkplug" defines where name, value and time are; expected features, and not '
                + ", ".join(given or ["{feature} in topic"])
            )


class AlignSettings(_Section):
    """How values that come by more than one message are aligned into readings."""

    period: Annotated[float, Ge(0.001), Le(1e9)] | None = None
    """Seconds between sampling times, its multiples since 1970; None: the bundle's sample period."""
    wait: Annotated[float, Gt(0), Le(1e6)] = 5.0
    """Seconds that a message may be under way."""
    max_age: Seconds = 450.0
    """Seconds that a value holds: 1.5 times the interval at which devices report without a change."""
    on_change: bool = True
    """Whether a value holds until `max_age`; False: it counts for one sampling time only."""
    deadband: dict[str, Annotated[float, Gt(0), Le(1e9)]] = {}
    """Feature -> change that its devices don't report; the baseline's floor is at least half of it."""
