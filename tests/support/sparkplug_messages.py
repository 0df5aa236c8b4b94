"""Sparkplug B payloads as an edge node sends them."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.ingest.formats.sparkplug_schema import DataType, payload_type

__all__ = ["BYTES", "DATA_SET", "TEMPLATE", "Metric", "encode_payload"]

DATA_SET, BYTES, TEMPLATE = 16, 17, 19
"""Types of metrics that `DataType` doesn't have."""
_FIELDS: dict[int, str] = {
    **dict.fromkeys((DataType.INT64, DataType.UINT64, DataType.DATE_TIME), "long_value"),
    **dict.fromkeys((DataType.STRING, DataType.TEXT, DataType.UUID), "string_value"),
    DataType.FLOAT: "float_value",
    DataType.DOUBLE: "double_value",
    DataType.BOOLEAN: "boolean_value",
    BYTES: "bytes_value",
}
_WIDE = {DataType.INT64, DataType.UINT64, DataType.DATE_TIME}


@dataclass(frozen=True)
class Metric:
    """A metric to send."""

    name: str = ""
    value: float | str | bool | bytes | None = None
    """None: it is null, or a dataset or template without content."""
    datatype: int = DataType.DOUBLE
    alias: int | None = None
    timestamp: int | None = None
    """Milliseconds since 1970."""
    quality: int | None = None
    is_historical: bool = False
    sends_datatype: bool = True
    """Data messages may leave the type out."""


def encode_payload(
    metrics: Sequence[Metric], timestamp: int | None = None, seq: int | None = None, uuid: str | None = None
) -> bytes:
    """Return the payload of a birth, data, command or death message."""
    payload = payload_type()(timestamp=timestamp, seq=seq, uuid=uuid)
    for metric in metrics:
        message = payload.metrics.add(alias=metric.alias, timestamp=metric.timestamp)
        if metric.name:
            message.name = metric.name
        if metric.sends_datatype:
            message.datatype = metric.datatype
        if metric.is_historical:
            message.is_historical = True
        if metric.quality is not None:
            message.properties.keys.append("Quality")
            message.properties.values.add(type=DataType.INT32, int_value=metric.quality)
        _set_value(message, metric)
    return bytes(payload.SerializeToString())


def _set_value(message: object, metric: Metric) -> None:
    value = metric.value
    if metric.datatype in {DATA_SET, TEMPLATE}:
        field = "dataset_value" if metric.datatype == DATA_SET else "template_value"
        getattr(message, field).SetInParent()
    elif value is None:
        message.is_null = True  # type: ignore[attr-defined]
    else:
        if (
            isinstance(value, int)
            and not isinstance(value, bool)
            and metric.datatype not in {DataType.FLOAT, DataType.DOUBLE}
        ):
            value &= (1 << (64 if metric.datatype in _WIDE else 32)) - 1
        setattr(message, _FIELDS.get(metric.datatype, "int_value"), value)
