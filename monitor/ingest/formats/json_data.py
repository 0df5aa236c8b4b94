"""JSON of any shape."""

from typing import Any

import msgspec

from monitor.ingest.decode_errors import explain_error, strip_padding
from monitor.ingest.formats.payload_format import NESTED_TOO_DEEPLY, clean_reason

__all__ = ["JsonFormat"]


class JsonFormat:
    """JSON as it is; a byte order mark before it and a NUL behind it are removed."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder().decode

    def parse(self, payload: bytes) -> Any:
        """Return the decoded JSON."""
        try:
            return self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            failure: Exception = error
        stripped = strip_padding(payload)
        if len(stripped) < len(payload):
            try:
                return self._decode(stripped)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                failure = error
        if isinstance(failure, RecursionError):
            raise ValueError(NESTED_TOO_DEEPLY)  # noqa: TRY004, the payload is wrong, not a type
        raise ValueError(clean_reason(explain_error(failure, stripped)))
