"""Middleware that refuses what pages of other sites send."""

import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.telemetry.http_refusals import CountRefusal, Refusal

__all__ = ["SiteCheckMiddleware"]

_log = logging.getLogger("uvicorn.error")  # what the server says is throttled there

# What changes nothing anyway; a link from elsewhere must open the page.
_READING = {"GET", "HEAD", "OPTIONS"}
_OWN_SITE = {"same-origin", "none"}
_ANSWER = (
    "A page of another site sent this: it isn't looked at. Expected it from the monitor's own page. A proxy "
    "in between has to pass on the host that the browser asked for, as Host or X-Forwarded-Host.\n"
)


class SiteCheckMiddleware:
    """Refuses a request that a page of another site lets a browser send, unless it only reads.

    Otherwise such a page could send wrong tokens from the operator's own address, until the right one
    isn't looked at any more.

    Parameters
    ----------
    app : the application.
    count_refusal : counts refused requests.
    """

    def __init__(self, app: ASGIApp, count_refusal: CountRefusal) -> None:
        self._app = app
        self._count_refusal = count_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["method"] in _READING or _is_own(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        self._count_refusal(Refusal.CROSS_SITE)
        _log.warning(
            "a request by a page of another site was refused: %r",
            Headers(scope=scope).get("origin", "")[:100],
        )
        # Its body isn't read.
        response = PlainTextResponse(_ANSWER, 403, headers={"connection": "close"})
        await response(scope, receive, send)


def _is_own(headers: Headers) -> bool:
    """Return whether the monitor's own page sent a request, or a program: those have neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN_SITE
    # Browsers leave it out without TLS, unless they ask this machine; some old ones do so always.
    origin = headers.get("origin")
    if origin is None:
        return True
    # By name alone, for proxies leave out the port. A page can't set either header for its browser.
    asked = (headers.get("host", ""), headers.get("x-forwarded-host", ""))
    name = _host_name(origin)
    return bool(name) and name in {_host_name(f"//{host}") for host in asked}


def _host_name(url: str) -> str:
    """Return the host name of a URL; "" if it has none: an origin may be `null`."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
