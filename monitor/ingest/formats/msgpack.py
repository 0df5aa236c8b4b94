"""MessagePack."""

from typing import Any

import msgspec

from monitor.ingest.formats.payload_format import NESTED_TOO_DEEPLY, clean_reason
from monitor.ingest.formats.plain_data import to_plain

__all__ = ["MsgpackFormat"]


class MsgpackFormat:
    """MessagePack with JSON's types; binary data becomes hexadecimal digits, times seconds since 1970."""

    def __init__(self) -> None:
        self._decode = msgspec.msgpack.Decoder(ext_hook=_refuse_extension).decode

    def parse(self, payload: bytes) -> Any:
        """Return the decoded MessagePack."""
        if not payload:
            raise ValueError("the payload is empty; expected MessagePack")
        try:
            return to_plain(self._decode(payload))
        except RecursionError:
            raise ValueError(NESTED_TOO_DEEPLY) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(clean_reason(f"no MessagePack: {error}")) from None


def _refuse_extension(code: int, _content: memoryview) -> Any:
    # msgspec itself decodes the only type that the specification defines, timestamps.
    raise ValueError(
        f"extension type {code} is not supported; expected the types of JSON, bytes or a timestamp"
    )
