"""Lets nobody in who doesn't know the token."""

import hashlib
import hmac
from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Guard"]

# A browser shall stay in for a month.
_LASTS = 30 * 24 * 3600


class Guard:
    """Asks for a token: `Authorization: Bearer ...`, or `?token=...` once, which a cookie remembers.

    Parameters
    ----------
    app : what is guarded.
    token : the secret.
    unguarded : paths that everybody may read.
    refusal : returns what everybody else sees.
    """

    def __init__(self, app: ASGIApp, token: str, unguarded: Collection[str], refusal: Response) -> None:
        self._app = app
        self._token = token.encode()
        self._unguarded = unguarded
        self._refusal = refusal
        # A cookie holds for all ports of a host, so each token's has a name of its own. It tells the token
        # to nobody who finds it.
        self._cookie_name = f"sensor-monitor-{self._digest('name')[:8]}"
        self._cookie = self._digest("cookie")

    def _digest(self, purpose: str) -> str:
        return hmac.new(self._token, purpose.encode(), hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if request.url.path in self._unguarded or self._is_known(request):
            await self._app(scope, receive, send)
        elif _same(request.query_params.get("token", ""), self._token):
            await self._remember(request)(scope, receive, send)
        else:
            await self._refusal(scope, receive, send)

    def _is_known(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(token.strip(), self._token):
            return True
        return _same(request.cookies.get(self._cookie_name, ""), self._cookie.encode())

    def _remember(self, request: Request) -> Response:
        # Away from the address with the token in it, so that it isn't passed on or left on the screen.
        answer = RedirectResponse(request.url.path, status_code=303)
        # "lax": who follows a link from elsewhere to the page is let in.
        answer.set_cookie(self._cookie_name, self._cookie, max_age=_LASTS, httponly=True, samesite="lax")
        return answer


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode(), expected)
