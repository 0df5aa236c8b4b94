"""Middleware that asks for the token."""

import hmac
import logging
import math
from collections.abc import Callable, Hashable
from enum import Enum

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.telemetry.http_refusals import CountRefusal, Refusal
from monitor.web.client_address import client_key
from monitor.web.guess_limit import GuessLimit
from monitor.web.session_cookies import CookieState, SessionCookies, cookie_name

__all__ = ["Access", "Authenticator", "TokenAuthMiddleware"]

_log = logging.getLogger("uvicorn.error")  # what the server says is throttled there

# Headers by which a proxy says for whom it asks. What they contain isn't believed; that they are there tells
# clients of a proxy on this machine from programs on it, so that the former can't slow the latter.
_PROXY_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip")


class Access(Enum):
    """What a request may do."""

    GRANTED = "granted"
    NO_TOKEN = "no token"  # noqa: S105 - a name
    WRONG_TOKEN = "wrong token"  # noqa: S105
    TOO_MANY_WRONG_TOKENS = "too many wrong tokens"
    """Its token isn't looked at: the client has sent too many wrong ones."""


class Authenticator:
    """Tells whether requests carry the token: `Authorization: Bearer ...`, or the cookie of a session.

    Parameters
    ----------
    get_token : returns the secret, which may be renewed.
    count_refusal : counts wrong tokens.
    limit : slows clients that send them.
    cookies : the cookies of sessions.
    """

    def __init__(
        self,
        get_token: Callable[[], str],
        count_refusal: CountRefusal,
        limit: GuessLimit | None = None,
        cookies: SessionCookies | None = None,
    ) -> None:
        self._get_token = get_token
        self._count_refusal = count_refusal
        self._limit = limit or GuessLimit()
        self._cookies = cookies or SessionCookies()

    def access(self, request: Request) -> Access:
        """Return what a request may do, and count a wrong token."""
        state = self._cookie_state(request)
        if state is CookieState.VALID:
            return Access.GRANTED  # always: a signature can't be guessed, so there is nothing to slow
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.try_token(request, given.strip())
        return self._refuse_wrong(request) if state is CookieState.FORGED else Access.NO_TOKEN

    def try_token(self, request: Request, given: str) -> Access:
        """Return what a request may do with this token, and count a wrong one."""
        if self._limit.wait_s(_client(request)):
            self._count_refusal(Refusal.TOO_MANY_WRONG_TOKENS)
            return Access.TOO_MANY_WRONG_TOKENS
        if hmac.compare_digest(given.encode(errors="replace"), self._get_token().encode()):
            return Access.GRANTED
        return self._refuse_wrong(request)

    def is_still_granted(self, request: Request) -> bool:
        """Return whether a request that was granted would be now: the token may have been renewed."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return self._cookie_state(request) is CookieState.VALID or (
            scheme.lower() == "bearer"
            and hmac.compare_digest(given.strip().encode(), self._get_token().encode())
        )

    def wait_s(self, request: Request) -> int:
        """Return the whole seconds until a token of this client is looked at again."""
        return math.ceil(self._limit.wait_s(_client(request)))

    def begin_session(self, request: Request, response: Response) -> None:
        """Let a response set the cookie of a new session."""
        # By a proxy with TLS the browser's own connection is HTTPS. Who writes this header without TLS only
        # gets a cookie that their browser doesn't send.
        forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
        secure = "https" in (request.scope["scheme"], forwarded)
        self._cookies.issue(response, self._get_token().encode(), secure=secure)

    def end_session(self, request: Request, response: Response) -> None:
        """End the session of a request, and let the response remove its cookie."""
        if self._cookie_state(request) is CookieState.VALID:
            token = self._get_token().encode()
            self._cookies.end(response, request.cookies[cookie_name(token)], token)

    def _cookie_state(self, request: Request) -> CookieState:
        token = self._get_token().encode()
        return self._cookies.state(request.cookies.get(cookie_name(token), ""), token)

    def _refuse_wrong(self, request: Request) -> Access:
        client = _client(request)
        if self._limit.wait_s(client):
            self._count_refusal(Refusal.TOO_MANY_WRONG_TOKENS)
            return Access.TOO_MANY_WRONG_TOKENS
        self._limit.count_wrong(client)
        self._count_refusal(Refusal.WRONG_TOKEN)
        _log.warning("a wrong token came from %s", client[0])
        return Access.WRONG_TOKEN


class TokenAuthMiddleware:
    """Passes on requests that carry the token.

    Parameters
    ----------
    app : the protected application.
    authenticator : tells which requests may pass.
    refuse : returns the response to another request.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        refuse: Callable[[Request, Access], Response],
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        request = Request(scope)
        access = self._authenticator.access(request)
        if access is Access.GRANTED:
            await self._app(scope, receive, send)
        else:
            await self._refuse(request, access)(scope, receive, send)


def _client(request: Request) -> tuple[str, Hashable]:
    """Return whose guesses a request's token counts as."""
    is_proxied = any(name in request.headers for name in _PROXY_HEADERS)
    return client_key(request.client.host if request.client else None), is_proxied
