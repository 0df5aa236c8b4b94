"""SenML, RFC 8428: a pack of records as JSON or CBOR."""

import math
from typing import Any

from monitor.ingest.formats.cbor import CborFormat
from monitor.ingest.formats.json_data import JsonFormat
from monitor.ingest.formats.payload_format import clean_reason

__all__ = ["SenmlFormat"]

_FIRST_ABSOLUTE_TIME = 2.0**28  # smaller times are relative to now
_VERSION = 10
_VERSION_OF_SECONDARY_UNITS = 26  # RFC 9100; the unit is returned as it is
_VALUE_LABELS = ("vs", "vb", "vd")
_LABEL_BY_CBOR_KEY = {
    "-1": "bver", "-2": "bn", "-3": "bt", "-4": "bu", "-5": "bv", "-6": "bs",
    "0": "n", "1": "u", "2": "v", "3": "vs", "4": "vb", "5": "s", "6": "t", "7": "ut", "8": "vd",
}  # fmt: skip
_FIRST_CBOR_BYTE = 0x80  # of an array or a tag; JSON is ASCII there, but for the byte order mark
_BYTE_ORDER_MARK = 0xEF


class SenmlFormat:
    """A SenML pack as JSON, or as CBOR where the package cbor2 is installed. Sums are ignored."""

    def __init__(self) -> None:
        self._json = JsonFormat()
        self._cbor: CborFormat | None = None

    def parse(self, payload: bytes) -> list[dict[str, Any]]:
        """Return the resolved records in order.

        Returns
        -------
        For each record with a value:

        n : base name and name.
        v : number, text or boolean; null if it was sent as null.
        t : seconds since 1970, or None if the time is relative to the time of sending.
        age : seconds before the time of sending, 0.0 if the record has no time; None if `t` is known.
        u : unit or None.
        """
        is_cbor = payload[:1] and payload[0] >= _FIRST_CBOR_BYTE and payload[0] != _BYTE_ORDER_MARK
        pack = self._parse_cbor(payload) if is_cbor else self._json.parse(payload)
        if not isinstance(pack, list) or not pack:
            raise ValueError("no SenML pack; expected an array of records")
        base: dict[str, Any] = {}
        resolved = []
        for number, record in enumerate(pack, 1):
            try:
                resolved += _resolve(record, base)
            except ValueError as error:
                raise ValueError(clean_reason(f"record {number}: {error}")) from None
        return resolved

    def _parse_cbor(self, payload: bytes) -> Any:
        if self._cbor is None:
            self._cbor = CborFormat()
        pack = self._cbor.parse(payload)
        if not isinstance(pack, list):
            return pack
        return [
            {_LABEL_BY_CBOR_KEY.get(key, key): item for key, item in record.items()}
            if isinstance(record, dict)
            else record
            for record in pack
        ]


def _resolve(record: Any, base: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the resolved record, or nothing if it only sets base fields or has a sum only.

    Parameters
    ----------
    base : the base fields so far; those of the record are added.
    """
    if not isinstance(record, dict):
        raise ValueError("it is no object")  # noqa: TRY004, the payload is wrong, not a type
    for label in record:
        if label.endswith("_"):
            raise ValueError(f"{label!r} has to be understood, and is not known")
    base |= {label: item for label, item in record.items() if label in {"bn", "bt", "bu", "bv", "bver"}}
    _check_version(base)
    if all(label.startswith("b") for label in record):
        return []
    found, value = _resolve_value(record, base)
    if not found:
        if "s" in record:
            return []
        raise ValueError("it has no value; expected v, vs, vb or vd")
    name = _read_text(base, "bn") + _read_text(record, "n")
    if not name:
        raise ValueError("it has no name; expected n or bn")
    return [
        {"n": name, "v": value}
        | _resolve_time(_read_number(base, "bt") + _read_number(record, "t"))
        | {"u": _read_text(record, "u") or _read_text(base, "bu") or None}
    ]


def _check_version(base: dict[str, Any]) -> None:
    version = _read_number(base, "bver")
    if version > _VERSION and version != _VERSION_OF_SECONDARY_UNITS:
        raise ValueError(f"the pack is of version {version:g}; expected {_VERSION} or below")


def _resolve_value(record: dict[str, Any], base: dict[str, Any]) -> tuple[bool, Any]:
    """Return whether the record has a value, and the value."""
    for label in _VALUE_LABELS:
        if label in record:
            value = record[label]
            if value is not None and type(value) is not (bool if label == "vb" else str):
                raise ValueError(
                    f"{label} is {_describe(value)}; expected {'a boolean' if label == 'vb' else 'text'}"
                )
            return True, value
    if "v" in record and record["v"] is None:
        return True, None
    if "v" in record or ("bv" in base and "s" not in record):
        return True, _read_number(base, "bv") + _read_number(record, "v")
    return False, None


def _resolve_time(time: float) -> dict[str, float | None]:
    if not math.isfinite(time):
        raise ValueError(f"the time is {time}; expected seconds")
    if time >= _FIRST_ABSOLUTE_TIME:
        return {"t": time, "age": None}
    return {"t": None, "age": 0.0 - time}


def _read_number(fields: dict[str, Any], label: str) -> float:
    """Return a field as a number, 0.0 if it is missing."""
    value = fields.get(label, 0.0)
    if type(value) not in {int, float}:
        raise ValueError(f"{label} is {_describe(value)}; expected a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{label} is too large") from None


def _read_text(fields: dict[str, Any], label: str) -> str:
    """Return a field as text, empty if it is missing."""
    value = fields.get(label, "")
    if type(value) is not str:
        raise ValueError(f"{label} is {_describe(value)}; expected text")
    return value


def _describe(value: Any) -> str:
    kinds = {
        str: "text",
        bool: "a boolean",
        dict: "an object",
        list: "an array",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), "null")
