"""CBOR, RFC 8949."""

import math
from collections.abc import Callable
from typing import Any

from monitor.ingest.formats.payload_format import clean_reason
from monitor.ingest.formats.plain_data import to_plain

__all__ = ["CborFormat"]

_MAX_DEPTH = 100
_MAX_INTEGER_BYTES = 127  # the largest integer that is certainly a finite float
_BEGIN_ARRAY, _END_ARRAY = b"\x9f", b"\xff"


class CborFormat:
    """CBOR with JSON's types; byte strings become hexadecimal digits, numbers as keys their digits.

    Tagged values: big integers, decimal fractions and bigfloats are numbers. References to other values are
    refused, because a small payload could describe a huge one with them. Of all others the content is
    returned, so a time is the text or the number that it consists of.

    Raises
    ------
    ValueError : the package cbor2 isn't installed.
    """

    def __init__(self) -> None:
        try:
            import cbor2  # noqa: PLC0415, an extra that other formats do without
        except ModuleNotFoundError:
            raise ValueError(
                "the package cbor2 is not installed; expected `pip install 'sensor-monitor[cbor]'`"
            ) from None
        self._cbor2 = cbor2

    def parse(self, payload: bytes) -> Any:
        """Return the decoded CBOR."""
        if not payload:
            raise ValueError("the payload is empty; expected CBOR")
        try:
            # cbor2 ignores what follows the first item. Plain text such as `21.4` would be the number -19.
            items = self._decode(_BEGIN_ARRAY + payload + _END_ARRAY)
        except self._cbor2.CBORError:
            raise ValueError(clean_reason(self._explain_error(payload))) from None
        if len(items) != 1:
            raise ValueError(f"{len(items)} CBOR items one after another; expected one")
        return to_plain(items[0], type(self._cbor2.undefined))

    def _decode(self, content: bytes) -> Any:
        return self._cbor2.loads(
            content, max_depth=_MAX_DEPTH, semantic_decoders=_DECODERS_BY_TAG, tag_hook=_use_content
        )

    def _explain_error(self, payload: bytes) -> str:
        try:
            self._decode(payload)
        except self._cbor2.CBORDecodeEOF:
            return "no CBOR: the payload ends within an item"
        except self._cbor2.CBORError as error:
            return f"no CBOR: {error.__cause__ or error}"
        return "no CBOR: there is more after the end of the first item"


def _use_content(tag: Any, _is_key: bool) -> Any:  # noqa: FBT001, cbor2's signature
    return tag.value


def _keep(value: Any, _is_key: bool) -> Any:  # noqa: FBT001, cbor2's signature
    return value


def _refuse_reference(_value: Any, _is_key: bool) -> Any:  # noqa: FBT001, cbor2's signature
    raise ValueError("a reference to another value; expected the value itself")


def _read_positive(value: Any, is_key: bool) -> int:  # noqa: FBT001, cbor2's signature
    # As keys, integers of any size can be chosen so that all have the same hash: such a dict takes minutes.
    if is_key or type(value) is not bytes or len(value) > _MAX_INTEGER_BYTES:
        raise ValueError(f"a big integer as a key or of more than {_MAX_INTEGER_BYTES} bytes")
    return int.from_bytes(value)


def _read_negative(value: Any, is_key: bool) -> int:  # noqa: FBT001, cbor2's signature
    return -1 - _read_positive(value, is_key)


def _read_decimal_fraction(value: Any, _is_key: bool) -> float:  # noqa: FBT001, cbor2's signature
    exponent, mantissa = _split(value, "decimal fraction")
    return float(f"{mantissa}e{exponent}")


def _read_bigfloat(value: Any, _is_key: bool) -> float:  # noqa: FBT001, cbor2's signature
    exponent, mantissa = _split(value, "bigfloat")
    try:
        return math.ldexp(mantissa, exponent)
    except OverflowError:
        return math.copysign(math.inf, mantissa)


def _split(value: Any, name: str) -> tuple[int, int]:
    """Return exponent and mantissa."""
    if not isinstance(value, (list, tuple)) or [type(part) for part in value] != [int, int]:
        raise ValueError(f"a {name} that isn't an array of two integers")
    return value[0], value[1]


_STRING_REFERENCE, _SHAREABLE, _SHARED_VALUE, _STRING_NAMESPACE = 25, 28, 29, 256
# cbor2 would make Python objects of these: times, regular expressions, UUIDs, sets, addresses, ...
_CBOR2_OBJECTS = (0, 1, 30, 35, 36, 37, 52, 54, 100, 258, 260, 261, 1004, 43000, 55799)

_DECODERS_BY_TAG: dict[int, Callable[[Any, bool], Any]] = {
    **dict.fromkeys(_CBOR2_OBJECTS, _keep),
    **dict.fromkeys((_STRING_REFERENCE, _SHAREABLE, _SHARED_VALUE, _STRING_NAMESPACE), _refuse_reference),
    2: _read_positive,
    3: _read_negative,
    4: _read_decimal_fraction,
    5: _read_bigfloat,
}
