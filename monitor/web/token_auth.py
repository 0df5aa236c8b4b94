"""Middleware that refuses requests without the token."""

import hashlib
import hmac
from collections.abc import Callable, Collection

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["TokenAuthMiddleware"]

_COOKIE_MAX_AGE_S = 30 * 24 * 3600  # a month


class TokenAuthMiddleware:
    """Requires a token: `Authorization: Bearer ...`, or `?token=...` once, which sets a cookie.

    Parameters
    ----------
    app : the protected application.
    get_token : returns the secret, which may be renewed.
    public_paths : paths that need no token.
    unauthorized_response : returns the response to a request without the token, given its path as sent.
    """

    def __init__(
        self,
        app: ASGIApp,
        get_token: Callable[[], str],
        public_paths: Collection[str],
        unauthorized_response: Callable[[bytes], Response],
    ) -> None:
        self._app = app
        self._get_token = get_token
        self._public_paths = public_paths
        self._unauthorized_response = unauthorized_response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, token = Request(scope), self._get_token().encode()
        if scope["path"] in self._public_paths or _is_authorized(request, token):
            await self._app(scope, receive, send)
        elif _tokens_match(request.query_params.get("token", ""), token):
            await _redirect_with_cookie(scope["raw_path"], token)(scope, receive, send)
        else:
            await self._unauthorized_response(scope["raw_path"])(scope, receive, send)


def _is_authorized(request: Request, token: bytes) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _tokens_match(given.strip(), token):
        return True
    name, value = _cookie(token)
    return _tokens_match(request.cookies.get(name, ""), value.encode())


def _redirect_with_cookie(raw_path: bytes, token: bytes) -> Response:
    # Redirect to the URL without the token, so that it is neither shared nor left on the screen. URL and
    # cookie path are relative, since a proxy may serve the monitor below a path that it removes: a cookie
    # without a path is valid for the folder of the URL that the browser asked for.
    response = RedirectResponse(f"./{raw_path.decode().rpartition('/')[2]}", status_code=303)
    name, value = _cookie(token)
    # SameSite "lax": the cookie is also sent when a link on another site leads to the page.
    response.set_cookie(name, value, max_age=_COOKIE_MAX_AGE_S, path=None, httponly=True, samesite="lax")
    return response


def _cookie(token: bytes) -> tuple[str, str]:
    """Return name and value of a token's cookie: digests that do not reveal the token.

    A cookie is valid for all ports of a host, so each token has a cookie name of its own: two monitors on one
    host do not overwrite each other's.
    """
    return f"sensor-monitor-{_digest(token, 'name')[:8]}", _digest(token, "cookie")


def _tokens_match(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode(), expected)


def _digest(token: bytes, purpose: str) -> str:
    return hmac.new(token, purpose.encode(), hashlib.sha256).hexdigest()
