"""Sparkplug B: a payload with metrics as protobuf."""

from typing import Any

from monitor.ingest.formats.payload_format import clean_reason
from monitor.ingest.formats.sparkplug_schema import DataType, payload_type

__all__ = ["SparkplugFormat", "to_signed"]

_MAX_METRICS = 50_000  # a metric of 4 bytes becomes a dict of 400
_COMPRESSED = "SPBV1.0_COMPRESSED"
_SUPPORTED_FIELDS = frozenset(
    {"int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value"}
)
_QUALITY_KEYS = frozenset({"Quality", "quality"})
_BITS_BY_SIGNED_TYPE: dict[int, int] = {
    DataType.INT8: 8,
    DataType.INT16: 16,
    DataType.INT32: 32,
    DataType.INT64: 64,
}


class SparkplugFormat:
    """Payloads of births, data and deaths. Aliases are resolved by `SparkplugSession`."""

    def __init__(self) -> None:
        self._payload_type = payload_type()
        from google.protobuf.message import DecodeError  # noqa: PLC0415, as in `payload_type`

        self._decode_error = DecodeError

    def parse(self, payload: bytes) -> dict[str, Any]:
        """Return the payload.

        Returns
        -------
        {"timestamp": ms since 1970 or None, "seq": int or None, "metrics": [...]}. Each metric has:

        name : empty if only the alias was sent.
        alias : int or None.
        timestamp : ms since 1970 or None.
        datatype : see `DataType`; 0 if it wasn't sent, then an integer in `value` may be one for `to_signed`.
        is_historical, is_null : bool.
        value : number, boolean or text; None if it is null, missing or unsupported.
        is_unsupported : whether the value is a dataset, a template, an array or bytes.
        quality : the property `Quality` as int, or None.
        """
        message = self._payload_type()
        try:
            message.ParseFromString(payload)
            if message.uuid == _COMPRESSED:
                raise ValueError("the payload is compressed; expected it without compression")
            if len(message.metrics) > _MAX_METRICS:
                raise ValueError(
                    f"{len(message.metrics)} metrics in a payload; expected at most {_MAX_METRICS}"
                )
            return {
                "timestamp": _get(message, "timestamp"),
                "seq": _get(message, "seq"),
                "metrics": [_read_metric(metric) for metric in message.metrics],
            }
        except self._decode_error as error:
            raise ValueError(clean_reason(f"no Sparkplug B payload: {error}")) from None


def to_signed(value: Any, datatype: int) -> Any:
    """Return a value of a metric as its type says: signed integers are sent as two's complement."""
    bits = _BITS_BY_SIGNED_TYPE.get(datatype)
    if bits is None or type(value) is not int:
        return value
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _read_metric(metric: Any) -> dict[str, Any]:
    field = None if metric.is_null else metric.WhichOneof("value")
    value = getattr(metric, field) if field in _SUPPORTED_FIELDS else None
    name = metric.name
    if type(name) is bytes or type(value) is bytes:  # what protobuf makes of it
        raise ValueError("no Sparkplug B payload: a name or a text is no UTF-8")
    return {
        "name": name,
        "alias": _get(metric, "alias"),
        "timestamp": _get(metric, "timestamp"),
        "datatype": metric.datatype,
        "is_historical": metric.is_historical,
        "is_null": metric.is_null,
        "value": to_signed(value, metric.datatype),
        "is_unsupported": field is not None and field not in _SUPPORTED_FIELDS,
        "quality": _read_quality(metric.properties) if metric.HasField("properties") else None,
    }


def _read_quality(properties: Any) -> int | None:
    for key, value in zip(properties.keys, properties.values, strict=False):
        if key in _QUALITY_KEYS and not value.is_null:
            field = value.WhichOneof("value")
            return None if field is None else to_signed(getattr(value, field), value.type)
    return None


def _get(message: Any, field: str) -> Any:
    """Return an optional field, or None if it wasn't sent."""
    return getattr(message, field) if message.HasField(field) else None
