"""The requests that operators publish below `request/`, and the responses below `response/`."""

import math
from collections.abc import Mapping
from typing import Annotated

import msgspec

from monitor.core.patterns import check_pattern

__all__ = [
    "Acknowledge",
    "FalseAlarm",
    "Forget",
    "Reload",
    "Request",
    "RequestRejected",
    "Silence",
    "parse_request",
    "response_payload",
]

# Maximum size of a request, limited because the response and the log repeat parts of it.
_MAX_BYTES = 4096

_Name = Annotated[str, msgspec.Meta(min_length=1)]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of every request."""

    transaction: object = None
    """Any JSON value, which the response repeats."""

    @property
    def name(self) -> str:
        """The request's name: the last level of its topic."""
        return next(name for name, request_type in _REQUEST_TYPES.items() if request_type is type(self))


class RequestRejected(Exception):  # noqa: N818, not an error of the monitor: the request is answered
    """A request is not executed.

    Parameters
    ----------
    reason : why the request is not executed, as text for the response and the log.
    request : the request, as far as it could be parsed.
    """

    def __init__(self, reason: str, request: Request | None = None) -> None:
        super().__init__(reason)
        self.transaction = None if request is None else request.transaction
        """The request's `transaction`, which the response repeats; None if there is none."""


class Reload(Request, frozen=True, kw_only=True):
    """Load bundle and settings again."""


class Acknowledge(Request, frozen=True, kw_only=True):
    """Acknowledge the open incidents of all groups that match a pattern, or one incident."""

    group: _Name | None = None
    """A pattern of group names; None if `incident` is given."""
    incident: _Name | None = None
    """An incident's id."""


class Silence(Request, frozen=True, kw_only=True):
    """Mute the alerts of the groups that match a pattern."""

    group: _Name
    """A pattern of group names."""
    minutes: float
    """Duration from now; 0 ends the mute. `Mutes` knows how long it may be."""


class FalseAlarm(Request, frozen=True, kw_only=True):
    """Report that an incident was a false alarm: the latest of a group, or the incident with an id."""

    group: _Name | None = None
    """A group's name; None if `incident` is given."""
    incident: _Name | None = None
    """An incident's id."""


class Forget(Request, frozen=True, kw_only=True):
    """Remove the groups that match a pattern for good."""

    group: _Name
    """A pattern of group names."""


_REQUEST_TYPES: dict[str, type[Request]] = {
    "acknowledge": Acknowledge,
    "silence": Silence,
    "false-alarm": FalseAlarm,
    "forget": Forget,
    "reload": Reload,
}


def parse_request(name: str, payload: bytes, *, retained: bool) -> Request:
    """Parse and validate a request.

    Parameters
    ----------
    name : the last level of the request's topic.
    payload : a JSON object, or empty.
    retained : whether the request is a retained message. Retained requests are rejected: the broker would
        send them on each subscription, and each time they would be executed again.

    Raises
    ------
    RequestRejected : there is no request with this name, or it can't be parsed, or a field is invalid.
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
            "retained message on its topic ends this one",
            transaction_only,
        )
    request_type = _REQUEST_TYPES.get(name)
    if request_type is None:
        raise RequestRejected(
            f"there is no request {name[:100]!r}; expected {', '.join(_REQUEST_TYPES)}", transaction_only
        )
    try:
        request = msgspec.convert(content, request_type)
    except msgspec.ValidationError as error:
        raise RequestRejected(f"the request can't be used: {error}", transaction_only) from error
    try:
        _check_target(request)
        _check_minutes(request)
    except ValueError as error:
        raise RequestRejected(f"the request can't be used: {error}", transaction_only) from error
    return request


def _check_target(request: Request) -> None:
    """Raise a ValueError if what a request names is too long a pattern, or not one thing."""
    if isinstance(request, Acknowledge | Silence | Forget) and request.group is not None:
        check_pattern(request.group)
    if isinstance(request, Acknowledge | FalseAlarm):
        has_group, has_incident = request.group is not None, request.incident is not None
        if has_group == has_incident:
            raise ValueError("it names no group and no incident, or both; expected one of them")


def _check_minutes(request: Request) -> None:
    """Raise a ValueError if a request's minutes are negative, or too many to count their seconds."""
    if isinstance(request, Silence) and not 0 <= 60 * request.minutes < math.inf:
        raise ValueError(
            f"a mute can't last {request.minutes:g} minutes; expected the minutes from now, or 0 to end it"
        )


def response_payload(
    transaction: object, error: str = "", result: Mapping[str, object] | None = None
) -> bytes:
    """Return the JSON payload of the response to a request.

    Parameters
    ----------
    transaction : the request's `transaction`; None: the response has no such field.
    error : why the request was not executed; "" if it was.
    result : further fields of the response.
    """
    content: dict[str, object] = {"status": "error" if error else "ok", **(result or {})}
    if error:
        content["error"] = error
    if transaction is not None:
        content["transaction"] = transaction
    return msgspec.json.encode(content)
