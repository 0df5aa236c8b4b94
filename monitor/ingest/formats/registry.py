"""The payload formats by their names in the settings."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from monitor.ingest.formats.cbor import CborFormat
from monitor.ingest.formats.influx import InfluxFormat
from monitor.ingest.formats.json_data import JsonFormat
from monitor.ingest.formats.msgpack import MsgpackFormat
from monitor.ingest.formats.number import NumberFormat
from monitor.ingest.formats.payload_format import PayloadFormat
from monitor.ingest.formats.ruuvi import RuuviFormat
from monitor.ingest.formats.senml import SenmlFormat
from monitor.ingest.formats.sparkplug import SparkplugFormat

__all__ = ["FORMATS"]

FORMATS: Mapping[str, Callable[[], PayloadFormat]] = MappingProxyType(
    {
        "json": JsonFormat,
        "number": NumberFormat,
        "msgpack": MsgpackFormat,
        "cbor": CborFormat,
        "senml": SenmlFormat,
        "influx": InfluxFormat,
        "sparkplug": SparkplugFormat,
        "ruuvi": RuuviFormat,
    }
)
"""Name -> what makes the format. ValueError: the package that it needs isn't installed."""
