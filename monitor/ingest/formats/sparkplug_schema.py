"""Sparkplug B's payload as a protobuf message type, built from a table of the fields that are used.

The schema is org.eclipse.tahu.protobuf of the Sparkplug specification 3.0. Fields that aren't in the table
are skipped when a payload is read.
"""

from enum import IntEnum
from functools import cache
from typing import Any

from monitor.core.protobuf_types import build_message_type

__all__ = ["DataType", "payload_type"]

_PACKAGE = "org.eclipse.tahu.protobuf"

# As `build_message_type` takes it.
_SCHEMA = {
    "Payload": "timestamp 1 uint64, metrics 2 *Metric, seq 3 uint64, uuid 4 string",
    "Metric": (
        "name 1 string, alias 2 uint64, timestamp 3 uint64, datatype 4 uint32, is_historical 5 bool,"
        " is_null 7 bool, properties 9 PropertySet, int_value 10 |uint32, long_value 11 |uint64,"
        " float_value 12 |float, double_value 13 |double, boolean_value 14 |bool, string_value 15 |string,"
        " bytes_value 16 |bytes, dataset_value 17 |Unsupported, template_value 18 |Unsupported,"
        " extension_value 19 |Unsupported"
    ),
    "PropertySet": "keys 1 *string, values 2 *PropertyValue",
    "PropertyValue": "type 1 uint32, is_null 2 bool, int_value 3 |uint32, long_value 4 |uint64",
    "Unsupported": "",
}


class DataType(IntEnum):
    """Types of metrics whose values are numbers, booleans or text."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATE_TIME = 13
    TEXT = 14
    UUID = 15


@cache
def payload_type() -> Any:
    """Return the class of protobuf messages."""
    return build_message_type(_PACKAGE, _SCHEMA, "Payload")
