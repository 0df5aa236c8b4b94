"""What may be asked over MQTT below `request/`, and the answers below `response/`."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

__all__ = [
    "Acknowledge",
    "FalseAlarm",
    "Reload",
    "Request",
    "RequestRejected",
    "Silence",
    "parse_request",
    "response_payload",
]

# Far beyond what a request needs; what is asked stands in the answer and in the log.
_MAX_BYTES = 4096
_MAX_MINUTES = 43_200  # 30 days

_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Minutes = Annotated[float, msgspec.Meta(ge=0, le=_MAX_MINUTES)]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all requests have."""

    transaction: object = None
    """What the asker wants to find in the answer."""

    @property
    def name(self) -> str:
        """What it is called in its topic."""
        return next(name for name, request_type in _REQUEST_TYPES.items() if request_type is type(self))


class RequestRejected(Exception):  # noqa: N818, it is an answer
    """A request that isn't done: the text says why.

    Parameters
    ----------
    reason : the text.
    request : what was asked, as far as it could be read.
    """

    def __init__(self, reason: str, request: Request | None = None) -> None:
        super().__init__(reason)
        self.transaction = None if request is None else request.transaction
        """What the asker wants to find in the answer."""


class Reload(Request, frozen=True, kw_only=True):
    """Go on with bundle and settings as they are now."""


class Acknowledge(Request, frozen=True, kw_only=True):
    """Somebody takes care of the open incidents of the groups that fit, or of one."""

    group: _Name | None = None
    """A pattern."""
    incident: _Name | None = None


class Silence(Request, frozen=True, kw_only=True):
    """Mute the alerts of the groups that fit."""

    group: _Name
    """A pattern."""
    minutes: _Minutes
    """From now on; 0 drops the pattern."""


class FalseAlarm(Request, frozen=True, kw_only=True):
    """A group's latest incident, or the one named, was none."""

    group: _Name | None = None
    incident: _Name | None = None


_REQUEST_TYPES: dict[str, type[Request]] = {
    "acknowledge": Acknowledge,
    "silence": Silence,
    "false-alarm": FalseAlarm,
    "reload": Reload,
}


def parse_request(name: str, payload: bytes, *, retained: bool) -> Request:
    """Return what is asked.

    Parameters
    ----------
    name : the last part of the topic.
    payload : a JSON object, or nothing.
    retained : whether the broker keeps it.

    Raises
    ------
    Refusal : there is no such request, or it can't be read.
    """
    if len(payload) > _MAX_BYTES:
        raise RequestRejected(f"the request has {len(payload)} bytes, expected at most {_MAX_BYTES}")
    try:
        content = msgspec.json.decode(payload or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestRejected(f"the request can't be read: {error}") from error
    if not isinstance(content, dict):
        raise RequestRejected("the request is no JSON object; expected one, or nothing")
    transaction_only = Request(transaction=content.get("transaction"))
    if retained:
        raise RequestRejected(
            "the request is retained, so each connection brings it again; expected one that isn't: an empty "
            "retained message on its topic ends this one", transaction_only,
        )  # fmt: skip
    request_type = _REQUEST_TYPES.get(name)
    if request_type is None:
        raise RequestRejected(
            f"there is no request {name[:100]!r}; expected {', '.join(_REQUEST_TYPES)}", transaction_only
        )
    try:
        request = msgspec.convert(content, request_type)
    except msgspec.ValidationError as error:
        raise RequestRejected(f"the request can't be used: {error}", transaction_only) from error
    if isinstance(request, Acknowledge | FalseAlarm) and (request.group is None) == (
        request.incident is None
    ):
        raise RequestRejected(
            "the request names no group and no incident, or both; expected one of them", transaction_only
        )
    return request


def response_payload(
    transaction: object, error: str = "", result: Mapping[str, object] | None = None
) -> bytes:
    """Return the answer to a request.

    Parameters
    ----------
    transaction : the request's, or None.
    error : why it wasn't done; "" if it was.
    result : what came of it, beside that.
    """
    content: dict[str, object] = {"status": "error" if error else "ok", **(result or {})}
    if error:
        content["error"] = error
    if transaction is not None:
        content["transaction"] = transaction
    return msgspec.json.encode(content)
