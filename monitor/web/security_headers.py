"""Headers of every response: what a browser may do with it."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["COMMON_HEADERS", "SecurityHeadersMiddleware"]

COMMON_HEADERS = {
    # What isn't a page may load and run nothing, and be shown in no frame.
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    # `no-referrer` would let browsers send `Origin: null` with the monitor's own form, as other sites do.
    "referrer-policy": "same-origin",
    # Pages of other sites may not embed it, as a picture or a script.
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Sent with a response unless it has this header already."""


class SecurityHeadersMiddleware:
    """Adds `COMMON_HEADERS` to every response of an application: to errors, redirects and streams, too.

    Parameters
    ----------
    app : the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its response back with the headers."""

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in COMMON_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
