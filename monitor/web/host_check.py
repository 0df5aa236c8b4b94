"""Middleware that refuses requests for host names that aren't the monitor's."""

import logging
import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.telemetry.http_refusals import CountRefusal, Refusal

__all__ = ["HostCheckMiddleware"]

_log = logging.getLogger("uvicorn.error")  # what the server says is throttled there

_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::\d{1,5})?")
_MISDIRECTED = 421
_ANSWER = (
    "This monitor isn't served by this host name. Expected an IP address, localhost, the name of its "
    "machine, or a name listed in http.allowed_hosts of its settings.\n"
)


class HostCheckMiddleware:
    """Refuses a request whose `Host` is a name that isn't the monitor's.

    A page of another site can let its own host name lead to the monitor's address (DNS rebinding), and then
    read what the monitor answers, in the browser of somebody who can reach it. It can't do that with an
    address or with `localhost`, nor with a name that it doesn't own.

    Parameters
    ----------
    app : the application.
    allowed_hosts : names beside addresses, `localhost` and the name of this machine.
    count_refusal : counts refused requests.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str], count_refusal: CountRefusal) -> None:
        self._app = app
        machine = socket.gethostname().lower()
        self._names = {"localhost", machine, machine.partition(".")[0], *allowed_hosts}
        self._count_refusal = count_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        # A program may leave the header out, by HTTP/1.0; no browser does.
        host = Headers(scope=scope).get("host") if scope["type"] == "http" else None
        if host is None or self._is_allowed(host):
            await self._app(scope, receive, send)
            return
        self._count_refusal(Refusal.HOST)
        _log.warning(
            "a request was refused because of its host name; if it is one of this monitor's, expected it in "
            "http.allowed_hosts: %r",
            host[:100],
        )
        await PlainTextResponse(_ANSWER, _MISDIRECTED)(scope, receive, send)

    def _is_allowed(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if not match:
            return False
        name = (match["ipv6"] or match["name"]).lower().rstrip(".")
        return name in self._names or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
